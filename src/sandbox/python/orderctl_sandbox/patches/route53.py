"""Route 53.

Gap (moto 5.2.5): whether a record exists is read from the journal of changes, so a record can be deleted twice and
not be created again.
Restores: ``InvalidChangeBatch`` for deleting what is not there and for creating what is.
"""

from moto.route53.exceptions import Route53ClientError
from moto.route53.models import Route53Backend

from .patching import wrap


def apply() -> None:
    """Patches ChangeResourceRecordSets."""

    @wrap(Route53Backend, "change_resource_record_sets")
    def against_what_is_there(original, self, zoneid, change_list):
        zone = self.get_hosted_zone(zoneid)
        present = {(r.name.rstrip("."), r.type, r.set_identifier) for r in zone.rrsets}
        for change in change_list:
            record = change["ResourceRecordSet"]
            key = (record["Name"].rstrip("."), record["Type"], record.get("SetIdentifier"))
            described = f"[name='{key[0]}.', type='{key[1]}']"
            if change["Action"] == "DELETE" and key not in present:
                raise Route53ClientError(
                    "InvalidChangeBatch", f"Tried to delete resource record set {described} but it was not found"
                )
            if change["Action"] == "CREATE" and key in present:
                raise Route53ClientError(
                    "InvalidChangeBatch", f"Tried to create resource record set {described} but it already exists"
                )
        return original(self, zoneid, change_list)
