"""Names that are used before they have a value: what a browser says only once somebody comes to that line.

A minifier that merges declarations may put them into another order. Read are whole programs, by tree-sitter's grammar.
What stands in a function is run later, and left alone there; every function is a program of its own for this.
"""

from __future__ import annotations

from collections.abc import Iterator

import tree_sitter_javascript
from tree_sitter import Language, Node, Parser

_PARSER = Parser(Language(tree_sitter_javascript.language()))
_FUNCTIONS = frozenset(
    {"function_declaration", "function_expression", "arrow_function", "method_definition"}
    | {"generator_function", "generator_function_declaration"}
)
_SCOPES = frozenset({"program", "statement_block", "for_statement", "for_in_statement", "switch_body"})
_BINDINGS = frozenset({"identifier", "shorthand_property_identifier_pattern"})
_USES = frozenset({"identifier", "shorthand_property_identifier"})


def too_early(code: str) -> list[str]:
    """Each such use, with what stands around it. Raises `ValueError` for what is no JavaScript."""
    program = _PARSER.parse(code.encode()).root_node
    if program.has_error:
        raise ValueError("not JavaScript")
    return [_shown(code, use) for scope in _within(program) if scope.type in _SCOPES for use in _early(scope)]


def _within(node: Node) -> Iterator[Node]:
    waiting = [node]
    while waiting:
        found = waiting.pop()
        yield found
        waiting.extend(found.children)


def _early(scope: Node) -> Iterator[Node]:
    """Uses in this scope, or in scopes within it that run at once, that stand before the name's own place."""
    declared = dict(_declared(scope))
    if not declared:
        return
    waiting = [(child, frozenset[str]()) for child in scope.children]
    while waiting:
        node, hidden = waiting.pop()
        if node.type in _FUNCTIONS and not _is_run_at_once(node):
            continue
        if node.type in _SCOPES:
            hidden |= {name for name, _ in _declared(node)}
        name = (node.text or b"").decode() if node.type in _USES else ""
        if name in declared and name not in hidden and node.end_byte < declared[name] and not _is_binding(node):
            yield node
        waiting.extend((child, hidden) for child in node.children)


def _declared(scope: Node) -> Iterator[tuple[str, int]]:
    """Names of `const` and `let` of this very scope, and where each has its value: behind its declaration."""
    if scope.type == "for_in_statement" and scope.child_by_field_name("kind"):
        yield from ((name, scope.start_byte) for name in _names(scope.child_by_field_name("left")))
    for statement in scope.children:
        inner = statement.child_by_field_name("declaration") if statement.type == "export_statement" else statement
        if inner is None or inner.type != "lexical_declaration":
            continue
        for one in inner.named_children:
            yield from ((name, one.start_byte) for name in _names(one.child_by_field_name("name")))


def _names(pattern: Node | None) -> list[str]:
    """What a pattern binds; its defaults are uses."""
    if pattern is None:
        return []
    if pattern.type in _BINDINGS:
        return [(pattern.text or b"").decode()]
    left = pattern.child_by_field_name("left")
    return [name for child in ([left] if left else pattern.children) for name in _names(child)]


def _is_binding(node: Node) -> bool:
    parent = node.parent
    return parent is not None and parent.type == "variable_declarator" and parent.child_by_field_name("name") == node


def _is_run_at_once(function: Node) -> bool:
    """`(() => { … })()`"""
    parent = function.parent
    while parent is not None and parent.type == "parenthesized_expression":
        function, parent = parent, parent.parent
    return (
        parent is not None and parent.type == "call_expression" and parent.child_by_field_name("function") == function
    )


def _shown(code: str, node: Node) -> str:
    raw = code.encode()
    return raw[max(0, node.start_byte - 60) : node.end_byte + 60].decode(errors="replace")
