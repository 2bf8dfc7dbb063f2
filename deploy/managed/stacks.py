"""CloudFormation stacks: created or updated by change sets, which are the plan too."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, NamedTuple, TypedDict
from uuid import uuid4

from botocore.exceptions import ClientError

from telefold.deploy.managed.poller import Poller
from telefold.schemas.errors import DeployError

if TYPE_CHECKING:
    from mypy_boto3_cloudformation import CloudFormationClient
    from mypy_boto3_cloudformation.type_defs import DescribeChangeSetOutputTypeDef, StackTypeDef

_NOT_YET_MADE = (None, "REVIEW_IN_PROGRESS")
_NEVER_MADE = ("ROLLBACK_COMPLETE", "ROLLBACK_FAILED", "CREATE_FAILED", "DELETE_FAILED")
_SETTLED_WELL = ("CREATE_COMPLETE", "UPDATE_COMPLETE")
_UNCHANGED = ("didn't contain changes", "No updates are to be performed")
_DELETED, _DELETE_COMPLETE = "DELETED", "DELETE_COMPLETE"
_CHANGE_SET_PATIENCE_S = 300
_STACK_PATIENCE_S = 3_600


@dataclass(frozen=True)
class Wanted:
    """A stack as it is to be. `template` is its text, or the URL of one that is too long for a request."""

    name: str
    template: str
    parameters: Mapping[str, str]
    tags: Mapping[str, str] = field(default_factory=dict)


class Change(NamedTuple):
    action: str
    resource: str
    type: str
    replacement: bool


class Part(NamedTuple):
    """A resource of a stack: what the template calls it, its type, and its name in AWS."""

    resource: str
    type: str
    name: str


class StackFailed(DeployError):
    """CloudFormation could not make the stack what it was to be, and has undone what it did."""


class Stacks:
    """The stacks of one account and region; `say` gets a line on what takes long."""

    def __init__(self, client: "CloudFormationClient", poller: Poller, say: Callable[[str], None]) -> None:
        self._client = client
        self._poller = poller
        self._say = say

    def status(self, name: str) -> str | None:
        """The stack's status as CloudFormation names it; None if there is no such stack."""
        described = self._describe(name)
        return None if described is None else str(described["StackStatus"])

    def outputs(self, name: str) -> dict[str, str]:
        described = self._describe(name)
        outputs = described.get("Outputs", []) if described else []
        return {one["OutputKey"]: one["OutputValue"] for one in outputs}

    def settle(self, name: str) -> str | None:
        """The status of the stack once nothing is under way there: somebody's change may be."""
        status = self.status(name)
        if status is None or not _is_under_way(status):
            return status
        self._say(f"stack {name} is changing ({status}): waiting")
        seen = self._poller.until(lambda: self._gone(name), _STACK_PATIENCE_S, f"The change of stack {name}")
        return None if seen == _DELETED else seen

    def parts(self, name: str) -> list[Part]:
        """The resources that a stack has made, which must be there."""
        pages = self._client.get_paginator("list_stack_resources").paginate(StackName=name)
        return [
            Part(one["LogicalResourceId"], one["ResourceType"], one.get("PhysicalResourceId", ""))
            for page in pages
            for one in page["StackResourceSummaries"]
            if one["ResourceStatus"] != _DELETE_COMPLETE
        ]

    def remove(self, name: str) -> None:
        """Delete a stack, and wait until it is gone; what its template retains stays.

        Raises StackFailed with CloudFormation's reason.
        """
        if self.settle(name) is None:
            return
        began = self._last_event(name)
        self._say(f"stack {name}: deleting, which takes minutes where servers go")
        self._client.delete_stack(StackName=name)
        gone = self._poller.until(lambda: self._gone(name), _STACK_PATIENCE_S, f"The removal of stack {name}")
        if gone != _DELETED:
            raise StackFailed(f"Stack {name} is {gone}: {self._reason(name, began)}. Mend that, then run this again.")

    def plan(self, wanted: Wanted) -> list[Change]:
        """Plan what `apply` would change; nothing is changed. Raises DeployError where it would not even begin."""
        status = self.settle(wanted.name)
        is_new = status in (*_NOT_YET_MADE, *_NEVER_MADE)
        if status in _NEVER_MADE:
            return [Change("Replace", wanted.name, "the stack, whose making failed", True)]
        change_set = self._propose(wanted, is_new)
        changes = [] if change_set is None else list(self._changes(change_set))
        self._withdraw(wanted.name, change_set, with_stack=status is None)
        return changes

    def apply(self, wanted: Wanted) -> bool:
        """Make the stack as wanted, and wait for it; whether anything changed.

        What another run began is waited for. Raises StackFailed with CloudFormation's reason.
        """
        status = self.settle(wanted.name)
        if status in _NEVER_MADE:
            self._remove(wanted.name)
            status = None
        if status not in _NOT_YET_MADE and status and status.endswith("_FAILED"):
            raise DeployError(
                f"Stack {wanted.name} is {status}: bring it to rest in the console of CloudFormation ('Continue update"
                " rollback'), then deploy again."
            )
        change_set = self._propose(wanted, is_new=status in _NOT_YET_MADE)
        if change_set is None:
            self._withdraw(wanted.name, None, with_stack=False)
            return False
        self._execute(wanted.name, change_set)
        return True

    def _execute(self, name: str, change_set: str) -> None:
        began = self._last_event(name)
        self._say(f"stack {name}: changing, which takes minutes where servers are made")
        self._client.execute_change_set(ChangeSetName=change_set, StackName=name)
        status = self._poller.until(lambda: self._at_rest(name), _STACK_PATIENCE_S, f"The change of stack {name}")
        if status not in _SETTLED_WELL:
            raise StackFailed(f"Stack {name} is {status}: {self._reason(name, began)}")

    def _propose(self, wanted: Wanted, is_new: bool) -> str | None:
        """The id of a change set that can be executed; None if there is nothing to change."""
        made = self._create_change_set(wanted, is_new)
        described = self._poller.until(
            lambda: self._proposed(made), _CHANGE_SET_PATIENCE_S, f"The plan for stack {wanted.name}"
        )
        if described["Status"] != "FAILED":
            return made
        self._withdraw(wanted.name, made, with_stack=is_new)
        reason = described.get("StatusReason", "no reason given")
        if any(text in reason for text in _UNCHANGED):
            return None
        raise _refused(wanted, reason)

    def _create_change_set(self, wanted: Wanted, is_new: bool) -> str:
        try:
            made = self._client.create_change_set(
                StackName=wanted.name,
                ChangeSetName=f"telefold-{uuid4().hex[:12]}",
                ChangeSetType="CREATE" if is_new else "UPDATE",
                Capabilities=["CAPABILITY_IAM"],
                Parameters=[{"ParameterKey": key, "ParameterValue": value} for key, value in wanted.parameters.items()],
                Tags=[{"Key": key, "Value": value} for key, value in wanted.tags.items()],
                **_template(wanted.template),
            )
        except ClientError as error:
            if error.response["Error"]["Code"] == "ValidationError":
                raise _refused(wanted, error.response["Error"]["Message"]) from error
            raise
        return str(made["Id"])

    def _proposed(self, change_set: str) -> "DescribeChangeSetOutputTypeDef | None":
        described = self._client.describe_change_set(ChangeSetName=change_set)
        return None if described["Status"] in ("CREATE_PENDING", "CREATE_IN_PROGRESS") else described

    def _changes(self, change_set: str) -> Iterator[Change]:
        for page in self._client.get_paginator("describe_change_set").paginate(ChangeSetName=change_set):
            for change in page.get("Changes", []):
                one = change["ResourceChange"]
                replaces = one.get("Replacement", "False") != "False"
                yield Change(one["Action"], one["LogicalResourceId"], one["ResourceType"], replaces)

    def _withdraw(self, name: str, change_set: str | None, *, with_stack: bool) -> None:
        """Delete the change set, and with it a stack that only ever was a plan."""
        if change_set is not None:
            self._client.delete_change_set(ChangeSetName=change_set)
        if with_stack:
            self._client.delete_stack(StackName=name)

    def _remove(self, name: str) -> None:
        """Remove a stack that was never made; what holds data was not retained either."""
        self._say(f"stack {name} was never made: it is removed first")
        self._client.delete_stack(StackName=name)
        gone = self._poller.until(lambda: self._gone(name), _STACK_PATIENCE_S, f"The removal of stack {name}")
        if gone != _DELETED:
            raise DeployError(f"Stack {name} is {gone}: remove it in the console of CloudFormation, then deploy again.")

    def _gone(self, name: str) -> str | None:
        status = self.status(name)
        return _DELETED if status is None else self._at_rest(name)

    def _at_rest(self, name: str) -> str | None:
        status = self.status(name)
        return None if status is None or _is_under_way(status) else status

    def _describe(self, name: str) -> "StackTypeDef | None":
        try:
            return self._client.describe_stacks(StackName=name)["Stacks"][0]
        except ClientError as error:
            if "does not exist" in error.response["Error"]["Message"]:
                return None
            raise

    def _last_event(self, name: str) -> str:
        events = self._client.describe_stack_events(StackName=name)["StackEvents"]
        return str(events[0]["EventId"]) if events else ""

    def _reason(self, name: str, since: str) -> str:
        """The reason of the first failure; what was cancelled because of it says nothing."""
        reason = "no reason given"
        for event in self._client.describe_stack_events(StackName=name)["StackEvents"]:
            if event["EventId"] == since:
                break
            said = event.get("ResourceStatusReason", "")
            if event["ResourceStatus"].endswith("_FAILED") and said and "cancelled" not in said:
                reason = f"{event['LogicalResourceId']}: {said}"
        return reason


def _refused(wanted: Wanted, reason: str) -> StackFailed:
    return StackFailed(f"CloudFormation refuses the change of stack {wanted.name}: {reason}")


class _Template(TypedDict, total=False):
    """A template as a request names it."""

    TemplateBody: str
    TemplateURL: str


def _template(text_or_url: str) -> _Template:
    return {"TemplateURL": text_or_url} if text_or_url.startswith("https://") else {"TemplateBody": text_or_url}


def _is_under_way(status: str) -> bool:
    return status.endswith("_IN_PROGRESS") and status != "REVIEW_IN_PROGRESS"
