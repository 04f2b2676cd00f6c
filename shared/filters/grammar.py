"""The parser of filter expressions. docs/filters.md describes the grammar."""

from __future__ import annotations

import re
from functools import cache
from typing import cast

from lark import Lark, Token, Tree, UnexpectedCharacters, UnexpectedInput, UnexpectedToken

from shared.filters.errors import FilterError
from shared.filters.syntax import RANGES, Clause, Condition, Dataset, Operand, Operator, Selects
from shared.filters.values import is_number, unescaped

_GRAMMAR = r"""
start: clause (_BAR clause)*
clause: KIND SELECTS _WHERE group (_OR group)* (_IF premises)?
group: condition (_AND condition)*
premises: condition (_AND condition)*
condition: NAME _DOT NAME (NOT? IN (_OPEN operand (_COMMA operand)* _CLOSE | current) | COMPARISON compared)
?compared: operand | current | _OPEN operand _CLOSE
current: CURRENT_ITEM _DOT NAME
operand: DOUBLE_QUOTED | SINGLE_QUOTED | NUMBER | PARAMETER | STAR

KIND: /(INCLUDE|EXCLUDE)\b/i
SELECTS: /(ItemID|UserID|ActionID)\b/i
_WHERE: /WHERE\b/i
_IF: /IF\b/i
_AND: /AND\b/i
_OR: /OR\b/i
NOT: /NOT\b/i
IN: /IN\b/i
CURRENT_ITEM: /CurrentItem\b/i
NAME: /[A-Za-z_][A-Za-z0-9_]*/
COMPARISON: /<=|>=|=|<|>/
DOUBLE_QUOTED: /"(\\.|[^"\\])*"/
SINGLE_QUOTED: /'(\\.|[^'\\])*'/
NUMBER: /[+-]?(\d+(\.\d*)?|\.\d+)([eE][+-]?\d+)?(?![\w.])/
PARAMETER: /\$[A-Za-z0-9_]+/
STAR: "*"
_DOT: "."
_COMMA: ","
_OPEN: "("
_CLOSE: ")"
_BAR: "|"
%import common.WS
%ignore WS
"""

# The name of each terminal in error messages.
_TERMINALS = {
    "KIND": "INCLUDE or EXCLUDE",
    "SELECTS": "ItemID or UserID",
    "_WHERE": "WHERE",
    "_IF": "IF",
    "_AND": "AND",
    "_OR": "OR",
    "NOT": "NOT IN",
    "IN": "IN",
    "CURRENT_ITEM": "CurrentItem",
    "NAME": "a name",
    "COMPARISON": "=, <, <=, > or >=",
    "DOUBLE_QUOTED": "a value",
    "SINGLE_QUOTED": "a value",
    "NUMBER": "a value",
    "PARAMETER": "a $PARAMETER",
    "STAR": "",
    "_DOT": "a dot and a field",
    "_COMMA": "a comma",
    "_OPEN": "(",
    "_CLOSE": ")",
    "_BAR": "|",
    "$END": "the end",
}
_DATASETS: dict[str, Dataset] = {"items": "ITEMS", "interactions": "INTERACTIONS", "users": "USERS"}
_QUOTES = "\u201c\u201d\u201e\u2018\u2019\u201a\u00ab\u00bb"


def parse(expression: str) -> tuple[Clause, ...]:
    """Return the clauses of an expression; raises FilterError with the place of a problem."""
    try:
        tree = _parser().parse(expression)
    except UnexpectedInput as error:
        raise _syntax_error(expression, error) from None
    return _Reader(expression).clauses(tree)


@cache
def _parser() -> Lark:
    return Lark(_GRAMMAR, parser="lalr")


def _syntax_error(expression: str, error: UnexpectedInput) -> FilterError:
    if isinstance(error, UnexpectedToken):
        expected = error.accepts or error.expected
    else:
        expected = error.allowed if isinstance(error, UnexpectedCharacters) else set()
    at_end = isinstance(error, UnexpectedToken) and error.token.type == "$END"
    offset = len(expression.rstrip()) if at_end else error.pos_in_stream or 0
    names = list(
        dict.fromkeys(word for name, word in _TERMINALS.items() if name in (expected or ()) and word)
    )
    sentence = f"expected {' or '.join([', '.join(names[:-1]), names[-1]] if names[1:] else names)}"
    return FilterError.at(expression, offset, f"{sentence}, found {_text_at(expression, offset)}.")


def _text_at(expression: str, offset: int) -> str:
    rest = expression[offset:].lstrip()
    if not rest:
        return "the end"
    if rest[0] in _QUOTES:
        return f"the typographic quotation mark {rest[0]}: write straight ones"
    if rest[0] in "\"'":
        return f"a text whose closing {rest[0]} is missing" if rest.count(rest[0]) == 1 else "a text"
    word = re.match(r"[\w$]+|.", rest)
    return word[0] if word else rest[:1]


class _Reader:
    """Converts a syntax tree to clauses, and checks what the grammar can't express."""

    def __init__(self, expression: str) -> None:
        self._expression = expression

    def clauses(self, tree: Tree[Token]) -> tuple[Clause, ...]:
        """Return the clauses; FilterError if some select items and others users."""
        clauses: list[Clause] = []
        for child in _trees(tree):
            clause = self._clause(child)
            if clauses and clause.selects != clauses[0].selects:
                raise self._wrong(
                    _tokens(child)[1],
                    "all expressions of a filter select the same, ItemID or UserID; this one differs.",
                )
            clauses.append(clause)
        return tuple(clauses)

    def _clause(self, tree: Tree[Token]) -> Clause:
        kind, selected = _tokens(tree)
        selects: Selects = "user" if selected.upper() == "USERID" else "item"
        if selected.upper() == "ACTIONID":
            raise self._wrong(
                selected, "filters of actions (ActionID) are not supported by Endcap; ItemID and UserID are."
            )
        parts = _trees(tree)
        groups = [part for part in parts if part.data == "group"]
        premises = [part for part in parts if part.data == "premises"]
        clause = Clause(
            kind.upper() == "INCLUDE",
            selects,
            tuple(tuple(self._condition(tree, selects) for tree in _trees(group)) for group in groups),
            tuple(self._premise(tree, selects) for part in premises for tree in _trees(part)),
        )
        first = clause.conditions[0]
        for condition in clause.conditions:
            if condition.dataset != first.dataset:
                raise self._wrong(
                    condition.start,
                    "the conditions of one expression are about one dataset, and the first one is about "
                    f"{first.dataset.title()}; join two expressions with | instead.",
                )
        return clause

    def _condition(self, tree: Tree[Token], selects: Selects) -> Condition:
        token = _tokens(tree)[0]
        allowed = {"user": ("Users", "Interactions"), "item": ("Items", "Interactions")}[selects]
        if token.title() not in allowed:
            named = f"{'UserID' if selects == 'user' else 'ItemID'} WHERE asks for {' or '.join(allowed)}"
            more = ", and IF asks for CurrentUser" if selects == "item" else ""
            raise self._wrong(token, f"{named}{more}; found {token}.")
        return self._read(tree, _DATASETS[token.lower()])

    def _premise(self, tree: Tree[Token], selects: Selects) -> Condition:
        token = _tokens(tree)[0]
        if selects == "user":
            raise self._wrong(token, "a filter of users has no current user, so it can't have IF.")
        if token.lower() != "currentuser":
            raise self._wrong(token, f"IF asks for CurrentUser alone; found {token}.")
        return self._read(tree, "USERS")

    def _read(self, tree: Tree[Token], dataset: Dataset) -> Condition:
        first, field, *operator = _tokens(tree)
        condition = Condition(
            dataset,
            str(field),
            cast("Operator", " ".join(word.upper() for word in operator)),
            tuple(_operand(child) for child in _trees(tree)),
            first.start_pos or 0,
        )
        for operand in condition.operands:
            self._check(operand, condition)
        return condition

    def _check(self, operand: Operand, condition: Condition) -> None:
        if operand.kind == "any" and (not condition.is_event_type or condition.operator in RANGES):
            raise self._wrong(operand.start, "* stands for any event type, with IN, NOT IN or = alone.")
        if condition.operator in RANGES and operand.kind == "text" and not is_number(operand.text):
            raise self._wrong(
                operand.start, f"{condition.operator} compares numbers, and {operand.text!r} is not a number."
            )
        if operand.kind == "item" and condition.dataset != "ITEMS":
            raise self._wrong(operand.start, "CurrentItem can be compared with fields of Items alone.")

    def _wrong(self, place: Token | int, problem: str) -> FilterError:
        offset = place if isinstance(place, int) else place.start_pos or 0
        return FilterError.at(self._expression, offset, problem)


def _tokens(tree: Tree[Token]) -> list[Token]:
    return [child for child in tree.children if isinstance(child, Token)]


def _trees(tree: Tree[Token]) -> list[Tree[Token]]:
    return [child for child in tree.children if not isinstance(child, Token)]


def _operand(tree: Tree[Token]) -> Operand:
    token = _tokens(tree)[0]
    start = token.start_pos or 0
    match token.type:
        case "NUMBER":
            return Operand("number", str(token), start)
        case "PARAMETER":
            return Operand("parameter", token[1:], start)
        case "STAR":
            return Operand("any", "*", start)
        case "CURRENT_ITEM":
            return Operand("item", str(_tokens(tree)[1]), start)
        case _:
            return Operand("text", unescaped(token[1:-1]), start)
