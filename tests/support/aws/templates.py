"""CloudFormation's templates, read and resolved as far as ours go."""

import re
from collections.abc import Mapping
from typing import Any

import yaml

REGION, ACCOUNT = "us-east-1", "123456789012"
_PSEUDO = {
    "AWS::AccountId": ACCOUNT,
    "AWS::NoValue": None,
    "AWS::Partition": "aws",
    "AWS::Region": REGION,
    "AWS::StackName": "stack",
}
_NAMES = {
    "AWS::CloudWatch::Alarm": "AlarmName",
    "AWS::CloudWatch::Dashboard": "DashboardName",
    "AWS::DynamoDB::Table": "TableName",
    "AWS::Kinesis::Stream": "Name",
    "AWS::KinesisAnalyticsV2::Application": "ApplicationName",
    "AWS::Logs::LogGroup": "LogGroupName",
    "AWS::Logs::LogStream": "LogStreamName",
    "AWS::S3::Bucket": "BucketName",
}
_ARNS = {
    "AWS::DynamoDB::Table": "dynamodb:{region}:{account}:table/{name}",
    "AWS::Kinesis::Stream": "kinesis:{region}:{account}:stream/{name}",
    "AWS::S3::Bucket": "s3:::{name}",
}


class _Loader(yaml.SafeLoader):
    pass


def _intrinsic(loader: Any, suffix: str, node: Any) -> Any:
    name = suffix if suffix in ("Ref", "Condition") else f"Fn::{suffix}"
    if isinstance(node, yaml.ScalarNode):
        value: Any = loader.construct_scalar(node)
        return {name: value.split(".", 1) if suffix == "GetAtt" else value}
    if isinstance(node, yaml.SequenceNode):
        return {name: loader.construct_sequence(node, deep=True)}
    return {name: loader.construct_mapping(node, deep=True)}


_Loader.add_multi_constructor("!", _intrinsic)


def read(text: str) -> dict[str, Any]:
    """The template, its short forms written out."""
    return dict(yaml.load(text, _Loader))


class Resolved:
    """A template with its parameters; raises ValueError where these do not fit, as CloudFormation would."""

    def __init__(self, template: Mapping[str, Any], given: Mapping[str, str]) -> None:
        self._template = template
        self._given = given
        self.parameters = self._parameters()
        self._conditions = template.get("Conditions", {})
        self._check_rules()
        self.resources = {
            name: {"Type": one["Type"], "Properties": self.value(one.get("Properties", {}))}
            for name, one in template["Resources"].items()
            if self._holds(one.get("Condition"))
        }
        self.outputs = {
            name: str(self.value(one["Value"]))
            for name, one in template.get("Outputs", {}).items()
            if self._holds(one.get("Condition"))
        }

    def name(self, resource: str) -> str:
        """What AWS calls it."""
        return str(self._ref(resource))

    def value(self, value: Any) -> Any:
        match value:
            case {"Ref": name}:
                return self._ref(name)
            case {"Fn::GetAtt": [name, attribute]}:
                return self._attribute(name, attribute)
            case {"Fn::Sub": str(text)}:
                return re.sub(r"\$\{([^}!]+)\}", lambda match: str(self._named(match[1])), text)
            case {"Fn::Sub": [str(text), dict(named)]}:
                values = {name: str(self.value(one)) for name, one in named.items()}
                return re.sub(r"\$\{([^}!]+)\}", lambda match: str(self._named(match[1], values)), text)
            case {"Condition": str(name)}:
                return self._holds(name)
            case {"Fn::And": all_of}:
                return all(self.value(one) for one in all_of)
            case {"Fn::Split": [separator, text]}:
                return str(self.value(text)).split(separator)
            case {"Fn::If": [condition, yes, no]}:
                return self.value(yes if self._holds(condition) else no)
            case {"Fn::Equals": [one, other]}:
                return str(self.value(one)) == str(self.value(other))
            case {"Fn::Not": [one]}:
                return not self.value(one)
            case {"Fn::Select": [index, of]}:
                return self.value(of)[int(index)]
            case {"Fn::GetAZs": _}:
                return [f"{REGION}a", f"{REGION}b"]
            case {"Fn::Cidr": [block, count, _]}:
                return [f"{self.value(block)}-{number}" for number in range(int(count))]
            case dict():
                resolved = {key: self.value(one) for key, one in value.items()}
                return {key: one for key, one in resolved.items() if one is not None}
            case list():
                return [one for one in map(self.value, value) if one is not None]
            case _:
                return value

    def _parameters(self) -> dict[str, str]:
        declared = self._template.get("Parameters", {})
        if unknown := set(self._given) - set(declared):
            raise ValueError(f"Parameters: {sorted(unknown)} do not exist in the template")
        values = {name: str(one["Default"]) for name, one in declared.items() if "Default" in one} | dict(self._given)
        if missing := set(declared) - set(values):
            raise ValueError(f"Parameters: {sorted(missing)} must have values")
        for name, value in values.items():
            _check(name, declared[name], value)
        return values

    def _check_rules(self) -> None:
        for rule in self._template.get("Rules", {}).values():
            if self.value(rule["RuleCondition"]):
                for one in rule["Assertions"]:
                    if not self.value(one["Assert"]):
                        raise ValueError(f"Template error: {one['AssertDescription']}")

    def _holds(self, condition: str | None) -> bool:
        return condition is None or bool(self.value(self._conditions[condition]))

    def _named(self, name: str, values: Mapping[str, str] | None = None) -> Any:
        if values and name in values:
            return values[name]
        head, _, attribute = name.partition(".")
        return self._attribute(head, attribute) if attribute else self._ref(name)

    def _ref(self, name: str) -> Any:
        if name in _PSEUDO:
            return _PSEUDO[name]
        if name in self.parameters:
            return self.parameters[name]
        one = self._template["Resources"][name]
        return self.value(one["Properties"][_NAMES[one["Type"]]]) if one["Type"] in _NAMES else f"id-of-{name}"

    def _attribute(self, name: str, attribute: str) -> str:
        if attribute.endswith("Port"):
            return "6379"
        type_ = self._template["Resources"][name]["Type"]
        arn = _ARNS.get(type_, f"{type_.split('::')[1].lower()}:{{region}}:{{account}}:{name}")
        if attribute == "Arn":
            return "arn:aws:" + arn.format(region=REGION, account=ACCOUNT, name=self._ref(name))
        return f"{attribute.lower()}.of.{name.lower()}"


def _check(name: str, declared: Mapping[str, Any], value: str) -> None:
    allowed = [str(one) for one in declared.get("AllowedValues", [value])]
    fits = value in allowed and re.fullmatch(str(declared.get("AllowedPattern", ".*")), value)
    if declared["Type"] == "Number" and fits:
        fits = declared.get("MinValue", -1e99) <= float(value) <= declared.get("MaxValue", 1e99)
    if not fits:
        raise ValueError(f"Parameter {name} = {value!r} failed to satisfy its constraints")
