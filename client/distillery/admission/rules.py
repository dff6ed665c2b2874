"""The CRD's CEL rules, by Google's own CEL runtime, with the functions for quantities that Kubernetes adds."""

from collections.abc import Iterator, Mapping
from functools import cache
from typing import Any

from cel_expr_python import cel
from distillery_api.quantities import is_quantity, quantity

from .findings import Finding, inside, item

RULES = "x-kubernetes-validations"


def broken_rules(schema: Mapping[str, Any], value: Any, path: str) -> Iterator[Finding]:
    """Findings of every rule of the structural schema that the value breaks; rules about updates are left out."""
    for rule in schema.get(RULES, ()):
        if "oldSelf" not in rule["rule"] and not holds(rule["rule"], value):
            yield Finding(path + rule.get("fieldPath", ""), f"Invalid value: {rule['message']}")
    if isinstance(value, list):
        for index, element in enumerate(value):
            yield from broken_rules(schema.get("items", {}), element, item(path, index))
    elif isinstance(value, Mapping):
        fields, others = schema.get("properties", {}), schema.get("additionalProperties", {})
        for name, element in value.items():
            place = inside(path, name) if name in fields else item(path, name)
            yield from broken_rules(fields.get(name, others), element, place)


def holds(rule: str, value: Any) -> bool:
    """Whether the rule is true of the value. A rule that cannot be evaluated is not, as at the API server."""
    result = compiled(rule).eval(data={"self": value})
    return result.type() == cel.Type.BOOL and bool(result.value())


@cache
def compiled(rule: str) -> Any:
    """The rule's program."""
    return environment().compile(rule)


@cache
def environment() -> Any:
    """`self`, and isQuantity, quantity and isLessThan of Kubernetes; an amount is a double here."""
    text, amount, truth = cel.Type.STRING, cel.Type.DOUBLE, cel.Type.BOOL
    less = cel.Overload("less_than", truth, [amount, amount], is_member=True, impl=lambda one, other: one < other)
    functions = [
        cel.FunctionDecl("isQuantity", [cel.Overload("is_quantity", truth, [text], impl=is_quantity)]),
        cel.FunctionDecl("quantity", [cel.Overload("quantity", amount, [text], impl=lambda it: float(quantity(it)))]),
        cel.FunctionDecl("isLessThan", [less]),
    ]
    return cel.NewEnv(variables={"self": cel.Type.DYN}, functions=functions)
