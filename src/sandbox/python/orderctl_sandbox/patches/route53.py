"""Route 53.

Gap (moto 5.2.5): whether a record exists is read from the journal of changes, so a record can be deleted twice and
not be created again, and a delete need not name the values; names keep their case; a CNAME stands beside other records;
an unknown action or foreign name in the middle of a batch leaves the first half done.
Restores: ``InvalidChangeBatch`` with all its reasons, in the wording of AWS and before anything is changed.
"""

from typing import Any

from moto.route53.exceptions import DnsNameInvalidForZone, InvalidActionValue, Route53ClientError
from moto.route53.models import RecordSet, Route53Backend

from .patching import wrap

_Key = tuple[str, str, str | None]


def _canonical(name: str) -> str:
    return name.rstrip(".").lower()


def _values(values: list[Any]) -> list[str]:
    return sorted(_canonical(value["Value"] if isinstance(value, dict) else value) for value in values)


def _says_the_same(present: RecordSet, given: dict[str, Any]) -> bool:
    """Whether a change names the values that a record has."""
    alias, wanted = present.alias_target or {}, given.get("AliasTarget") or {}
    if bool(alias) != bool(wanted):
        return False
    if alias:
        return all(
            _canonical(str(alias.get(field, ""))) == _canonical(str(wanted.get(field, "")))
            for field in ("HostedZoneId", "DNSName", "EvaluateTargetHealth")
        )
    same_ttl = str(present.ttl) == str(given.get("TTL"))
    return same_ttl and _values(present.records or []) == _values(given.get("ResourceRecords") or [])


def _reasons(zone_name: str, present: dict[_Key, RecordSet], change_list: list[dict[str, Any]]) -> list[str]:
    """What speaks against a batch."""
    reasons = []
    deleted: set[_Key] = set()
    made: list[_Key] = []
    for change in change_list:
        record, action = change["ResourceRecordSet"], change["Action"]
        key = (_canonical(record["Name"]), record["Type"], record.get("SetIdentifier"))
        described = f"resource record set [name='{key[0]}.', type='{key[1]}']"
        if action == "DELETE":
            if key not in present:
                reasons.append(f"Tried to delete {described} but it was not found")
            elif not _says_the_same(present[key], record):
                reasons.append(
                    f"Tried to delete {described} but the values provided do not match the current values"
                )
            deleted.add(key)
        elif action == "CREATE" and key in present and key not in deleted:
            reasons.append(f"Tried to create {described} but it already exists")
        else:
            made.append(key)
    after = {*(key for key in present if key not in deleted), *made}
    for name, kind, _ in made:
        conflicting = [key for key in after if key[0] == name and key[1] != kind and "CNAME" in (kind, key[1])]
        if conflicting:
            reasons.append(
                f"RRSet of type {kind} with DNS name {name}. is not permitted as it conflicts with other records with "
                f"the same DNS name in zone {zone_name}."
            )
    return reasons


def apply() -> None:
    """Patches ChangeResourceRecordSets."""

    @wrap(Route53Backend, "change_resource_record_sets")
    def all_or_nothing(original, self, zoneid, change_list):
        zone = self.get_hosted_zone(zoneid)
        for change in change_list:
            if change["Action"] not in ("CREATE", "UPSERT", "DELETE"):
                raise InvalidActionValue(change["Action"])
            record = change["ResourceRecordSet"]
            name = record["Name"]
            record["Name"] = f"{_canonical(name)}."
            if not f".{_canonical(name)}".endswith(f".{_canonical(zone.name)}"):
                raise DnsNameInvalidForZone(name=name, zone_name=zone.name)
        present = {(_canonical(item.name), item.type, item.set_identifier): item for item in zone.rrsets}
        reasons = _reasons(_canonical(zone.name), present, change_list)
        if reasons:
            raise Route53ClientError("InvalidChangeBatch", f"[{', '.join(reasons)}]")
        return original(self, zoneid, change_list)
