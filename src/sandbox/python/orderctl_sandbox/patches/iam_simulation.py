"""IAM's policy simulation.

Gaps (moto 5.2.5): SimulatePrincipalPolicy is missing.
Restores: its answers, by page. Nothing is checked in the sandbox, so everything is allowed unless the control endpoint
names actions to be denied (``answers.py``); every resource is answered for.
"""

from moto.core.responses import ActionResult
from moto.iam.responses import IamResponse

from .. import answers
from .patching import add

#: How many results a page has unless the caller says otherwise (API reference, MaxItems).
_PAGE = 100


def apply() -> None:
    """Adds SimulatePrincipalPolicy."""

    @add(IamResponse)
    def simulate_principal_policy(self):
        actions = self._get_param("ActionNames", [])
        resources = self._get_param("ResourceArns") or ["*"]
        results = [_result(action, resources) for action in actions]
        start = int(self._get_param("Marker") or 0)
        end = start + int(self._get_param("MaxItems") or _PAGE)
        answer = {"EvaluationResults": results[start:end], "IsTruncated": end < len(results)}
        if answer["IsTruncated"]:
            answer["Marker"] = str(end)
        return ActionResult(answer)


def _result(action: str, resources: list[str]) -> dict:
    decision = "implicitDeny" if answers.is_denied(action) else "allowed"
    specific = [
        {"EvalResourceName": arn, "EvalResourceDecision": decision, "MatchedStatements": [], "MissingContextValues": []}
        for arn in resources
    ]
    return {
        "EvalActionName": action,
        "EvalResourceName": resources[0],
        "EvalDecision": decision,
        "MatchedStatements": [],
        "MissingContextValues": [],
        "ResourceSpecificResults": specific,
    }
