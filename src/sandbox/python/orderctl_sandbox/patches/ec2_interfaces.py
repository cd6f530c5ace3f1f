"""EC2: network interfaces.

Gaps (moto 5.2.5): an interface of an AWS service shows no attachment, and its public address shows no owner but the
caller; filters on attachment, association and group name are unknown.
Restores: what DescribeNetworkInterfaces tells about who holds a subnet or a security group (field guide section 2).
"""

from typing import Any

from moto.ec2.models.elastic_network_interfaces import NetworkInterface

from .patching import wrap


def _of_attachment(interface: NetworkInterface, field: str) -> Any:
    attachment = interface.attachment
    if attachment is None:
        return None
    return attachment[field] if isinstance(attachment, dict) else getattr(attachment, field)


#: Filters that moto lacks, and how an interface answers them.
_FILTERS = {
    "association.allocation-id": lambda interface: interface.association.get("allocationId"),
    "association.association-id": lambda interface: interface.association.get("associationId"),
    "association.public-ip": lambda interface: interface.public_ip,
    "attachment.attachment-id": lambda interface: _of_attachment(interface, "attachment_id"),
    "attachment.instance-owner-id": lambda interface: _of_attachment(interface, "instance_owner_id"),
    "attachment.status": lambda interface: _of_attachment(interface, "status"),
    "group-id": lambda interface: [group.id for group in interface.group_set],
    "group-name": lambda interface: [group.name for group in interface.group_set],
    "requester-id": lambda interface: interface.requester_id if interface.requester_managed else None,
}


def apply() -> None:
    """Patches what an interface shows and the filters it is found by."""
    attachment_of_instance = NetworkInterface.attachment.fget
    association_of_account = NetworkInterface.association.fget

    def attachment(self: NetworkInterface) -> Any:
        if not self.requester_managed:
            return attachment_of_instance(self)
        return {
            "attachment_id": f"ela-attach-{self.id.removeprefix('eni-')}",
            "delete_on_termination": False,
            "device_index": 1,
            "instance_owner_id": self.requester_id,
            "status": "attached",
        }

    def association(self: NetworkInterface) -> dict[str, Any]:
        shown = association_of_account(self)
        # Only an Elastic IP address belongs to the account.
        if self.requester_managed and shown and not shown.get("allocationId"):
            shown["ipOwnerId"] = self.requester_id
        return shown

    NetworkInterface.attachment = property(attachment)
    NetworkInterface.association = property(association)

    @wrap(NetworkInterface, "get_filter_value")
    def more_filters(original, self, filter_name, method_name=None):
        answer = _FILTERS.get(filter_name)
        return answer(self) if answer else original(self, filter_name, method_name)
