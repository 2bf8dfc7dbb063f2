"""CloudFormation: change sets, stacks that take time, and what fails being put back as it was."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from tests.support.aws.application import Operation
from tests.support.aws.clock import Clock
from tests.support.aws.flink import Flink
from tests.support.aws.templates import Resolved, read

CHANGES_S = 30
LARGEST_BODY = 51_200
_RESOURCES_A_PAGE = 30
_APPLICATION = "AWS::KinesisAnalyticsV2::Application"


class ValidationError(Exception):
    pass


@dataclass
class Stack:
    name: str
    status: str
    resolved: Resolved | None = None
    tags: Mapping[str, str] = field(default_factory=dict)
    events: list[dict[str, str]] = field(default_factory=list)
    """Oldest first."""
    names: dict[str, str] = field(default_factory=dict)
    """What AWS calls each of its resources."""

    @property
    def resources(self) -> dict[str, Any]:
        return self.resolved.resources if self.resolved else {}


@dataclass
class ChangeSet:
    id: str
    stack: Stack
    resolved: Resolved
    tags: Mapping[str, str]
    changes: list[tuple[str, str, str]]


class Stacks:
    """`fetch` gives a template's text by its URL; `made` is told of each resource that a stack has from now on."""

    def __init__(
        self, clock: Clock, flink: Flink, fetch: Callable[[str], str], made: Callable[[str, dict[str, Any]], str | None]
    ) -> None:
        self._clock = clock
        self._flink = flink
        self._fetch = fetch
        self._made = made
        self.stacks: dict[str, Stack] = {}
        self.change_sets: dict[str, ChangeSet] = {}
        self.fails: dict[str, str] = {}
        """Resource -> why its next change fails."""
        self.notices = True
        """Whether an update of the application that failed fails the stack too."""
        self.executed: list[str] = []
        """The stacks that were changed, in order."""
        self._count = 0

    def call(self, action: str, request: dict[str, Any]) -> dict[str, Any]:
        """One request of the API."""
        return dict(getattr(self, f"_{action}")(request))

    def _CreateChangeSet(self, request: dict[str, Any]) -> dict[str, Any]:  # noqa: N802
        stack = self._stack_to_change(request["StackName"], request["ChangeSetType"])
        body = request.get("TemplateBody") or self._fetch(request["TemplateURL"])
        if len(request.get("TemplateBody", "")) > LARGEST_BODY:
            raise ValidationError("templateBody has more than 51200 characters")
        given = {one["ParameterKey"]: one["ParameterValue"] for one in request.get("Parameters", [])}
        tags = {one["Key"]: one["Value"] for one in request.get("Tags", [])}
        try:
            resolved = Resolved(read(body), given)
        except ValueError as error:
            raise ValidationError(str(error)) from error
        made = ChangeSet(f"arn:changeset/{self._next()}", stack, resolved, tags, _changes(stack, resolved, tags))
        self.change_sets[made.id] = made
        return {"Id": made.id, "StackId": stack.name}

    def _stack_to_change(self, name: str, kind: str) -> Stack:
        stack = self.stacks.get(name)
        if kind == "CREATE":
            if stack and stack.status != "REVIEW_IN_PROGRESS":
                raise ValidationError(f"Stack [{name}] already exists and cannot be created again")
            return self.stacks.setdefault(name, Stack(name, "REVIEW_IN_PROGRESS"))
        if stack is None or not stack.status.endswith("_COMPLETE") or stack.status == "ROLLBACK_COMPLETE":
            raise ValidationError(f"Stack [{name}] is in {stack and stack.status} state and can not be updated")
        return stack

    def _DescribeChangeSet(self, request: dict[str, Any]) -> dict[str, Any]:  # noqa: N802
        found = self.change_sets[request["ChangeSetName"]]
        described: dict[str, Any] = {
            "ChangeSetId": found.id,
            "StackName": found.stack.name,
            "Status": "CREATE_COMPLETE",
            "Changes": [],
        }
        if not found.changes:
            reason = "The submitted information didn't contain changes. Submit different information."
            return described | {"Status": "FAILED", "StatusReason": reason}
        for action, name, kind in found.changes:
            change = {"Action": action, "LogicalResourceId": name, "ResourceType": kind}
            described["Changes"].append({"Type": "Resource", "ResourceChange": change | {"Replacement": "False"}})
        return described

    def _DeleteChangeSet(self, request: dict[str, Any]) -> dict[str, Any]:  # noqa: N802
        del self.change_sets[request["ChangeSetName"]]
        return {}

    def _ExecuteChangeSet(self, request: dict[str, Any]) -> dict[str, Any]:  # noqa: N802
        change_set = self.change_sets.pop(request["ChangeSetName"])
        stack = change_set.stack
        self.executed.append(stack.name)
        kind = "CREATE" if stack.resolved is None else "UPDATE"
        self._becomes(stack, f"{kind}_IN_PROGRESS")
        self._clock.after(CHANGES_S, lambda: self._change(change_set, kind))
        return {}

    def _DescribeStacks(self, request: dict[str, Any]) -> dict[str, Any]:  # noqa: N802
        stack = self._find(request["StackName"])
        outputs = stack.resolved.outputs if stack.resolved and not stack.status.startswith("CREATE_IN") else {}
        return {
            "Stacks": [
                {
                    "StackName": stack.name,
                    "CreationTime": "2026-01-01T00:00:00Z",
                    "StackStatus": stack.status,
                    "Outputs": [{"OutputKey": key, "OutputValue": value} for key, value in outputs.items()],
                }
            ]
        }

    def _DescribeStackEvents(self, request: dict[str, Any]) -> dict[str, Any]:  # noqa: N802
        return {"StackEvents": list(reversed(self._find(request["StackName"]).events))}

    def _ListStackResources(self, request: dict[str, Any]) -> dict[str, Any]:  # noqa: N802
        """A few a page, as the service gives a hundred."""
        stack, begin = self._find(request["StackName"]), int(request.get("NextToken", 0))
        names = list(stack.resources)
        listed = [
            {
                "LogicalResourceId": name,
                "ResourceType": stack.resources[name]["Type"],
                "PhysicalResourceId": stack.names.get(name, name),
                "ResourceStatus": "CREATE_COMPLETE",
                "LastUpdatedTimestamp": "2026-01-01T00:00:00Z",
            }
            for name in names[begin : begin + _RESOURCES_A_PAGE]
        ]
        more = begin + _RESOURCES_A_PAGE < len(names)
        return {"StackResourceSummaries": listed} | ({"NextToken": str(begin + _RESOURCES_A_PAGE)} if more else {})

    def _DeleteStack(self, request: dict[str, Any]) -> dict[str, Any]:  # noqa: N802
        """A stack that never had anything is gone at once."""
        stack = self.stacks.get(request["StackName"])
        if stack is None or stack.resolved is None:
            self.stacks.pop(request["StackName"], None)
            return {}
        self._becomes(stack, "DELETE_IN_PROGRESS")
        self._clock.after(CHANGES_S, lambda: self._delete(stack))
        return {}

    def _delete(self, stack: Stack) -> None:
        for name in stack.resources:
            if name in self.fails:
                self._event(stack, name, "DELETE_FAILED", self.fails.pop(name))
                self._becomes(stack, "DELETE_FAILED")
                return
        self._flink.applications.pop(stack.name, None)
        del self.stacks[stack.name]

    def _change(self, change_set: ChangeSet, kind: str) -> None:
        """The application comes last: everything else that it needs is there by then. Nothing stays of what fails."""
        stack, before = change_set.stack, change_set.stack.resolved
        for _, name, _ in change_set.changes:
            if name in self.fails:
                self._event(stack, name, f"{kind}_FAILED", self.fails.pop(name))
                self._event(stack, "SomethingElse", f"{kind}_FAILED", "Resource update cancelled")
                self._fails(stack, kind)
                return
        for _, name, type_ in change_set.changes:
            if type_ != _APPLICATION and name in change_set.resolved.resources:
                called = self._made(type_, change_set.resolved.resources[name]["Properties"])
                stack.names[name] = called or change_set.resolved.name(name)
        stack.resolved, stack.tags = change_set.resolved, change_set.tags
        operation = self._change_application(change_set, before)
        self._await(stack, kind, before, operation)

    def _change_application(self, change_set: ChangeSet, before: Resolved | None) -> Operation | None:
        for action, name, type_ in change_set.changes:
            if type_ == _APPLICATION and action == "Add":
                self._flink.create(change_set.resolved.resources[name]["Properties"])
            elif type_ == _APPLICATION:
                return self._flink.update(change_set.resolved.resources[name]["Properties"])
        return None

    def _await(self, stack: Stack, kind: str, before: Resolved | None, operation: Operation | None) -> None:
        applications = [self._flink.applications[one] for one in self._flink.applications if one == stack.name]
        if any(one.status not in ("READY", "RUNNING") for one in applications):
            self._clock.after(5, lambda: self._await(stack, kind, before, operation))
        elif operation and operation.status == "FAILED" and self.notices:
            self._event(stack, "Application", "UPDATE_FAILED", operation.error)
            self._put_back(stack, before)
        else:
            self._becomes(stack, f"{kind}_COMPLETE")

    def _put_back(self, stack: Stack, before: Resolved | None) -> None:
        stack.resolved = before
        wanted = stack.resources["Application"]["Properties"]
        application = self._flink.applications[stack.name]
        if application.properties != wanted:
            self._flink.update(wanted)
        self._becomes(stack, "UPDATE_ROLLBACK_IN_PROGRESS")
        self._clock.after(CHANGES_S, lambda: self._becomes(stack, "UPDATE_ROLLBACK_COMPLETE"))

    def _fails(self, stack: Stack, kind: str) -> None:
        prefix = "" if kind == "CREATE" else "UPDATE_"
        self._becomes(stack, f"{prefix}ROLLBACK_IN_PROGRESS")
        self._clock.after(CHANGES_S, lambda: self._becomes(stack, f"{prefix}ROLLBACK_COMPLETE"))

    def _becomes(self, stack: Stack, status: str) -> None:
        stack.status = status
        self._event(stack, stack.name, status, "")

    def _event(self, stack: Stack, resource: str, status: str, reason: str) -> None:
        stack.events.append(
            {
                "EventId": str(self._next()),
                "StackId": stack.name,
                "StackName": stack.name,
                "LogicalResourceId": resource,
                "ResourceStatus": status,
                "ResourceStatusReason": reason,
                "Timestamp": "2026-01-01T00:00:00Z",
            }
        )

    def _find(self, name: str) -> Stack:
        if name not in self.stacks:
            raise ValidationError(f"Stack with id {name} does not exist")
        return self.stacks[name]

    def _next(self) -> int:
        self._count += 1
        return self._count


def _changes(stack: Stack, wanted: Resolved, tags: Mapping[str, str]) -> list[tuple[str, str, str]]:
    old, new = stack.resources, wanted.resources
    added = [("Add", name, one["Type"]) for name, one in new.items() if name not in old]
    removed = [("Remove", name, one["Type"]) for name, one in old.items() if name not in new]
    retagged = stack.tags != tags
    changed = [
        ("Modify", name, one["Type"])
        for name, one in new.items()
        if name in old and (old[name] != one or (retagged and "Bucket" in one["Type"]))
    ]
    return [*added, *changed, *removed]
