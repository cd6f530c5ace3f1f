"""CloudWatch Logs: FilterLogEvents.

Gaps (moto 5.2.5): logStreamNamePrefix is ignored; a filter pattern with ``?``, ``-`` or fields of JSON matches everything;
a pattern that CloudWatch cannot read is taken; streams come one after the other unless ``interleaved`` is given.
Restores: prefixes, patterns of words, phrases, ``?``, ``-`` and ``{ $.field = value }`` (comparisons joined by ``&&`` and
``||``, without brackets), ``InvalidParameterException`` for what is none of these, events of all streams by time. A pattern of
columns (``[ip, user]``) still matches everything.
"""

import fnmatch
import json
import operator
import re
from collections.abc import Callable
from typing import Any

from moto.logs import models
from moto.logs.exceptions import InvalidParameterException, ResourceNotFoundException
from moto.logs.responses import LogsResponse

from .patching import replace

Test = Callable[[str], bool]

_TERM = re.compile(r'\s*([?-]?)(?:"((?:[^"\\]|\\.)*)"|([^\s"\[\]{}]+))(?=\s|$)')
_COMPARISON = re.compile(r'^\s*\$\.([\w.\-\[\]]+)\s*(=|!=|<=|>=|<|>)\s*(?:"((?:[^"\\]|\\.)*)"|([^\s"]+))\s*$')
_ORDER = {"<": operator.lt, "<=": operator.le, ">": operator.gt, ">=": operator.ge}


def _refuse() -> InvalidParameterException:
    return InvalidParameterException(msg="Invalid filter pattern")


def compile_pattern(pattern: str | None) -> Test:
    """The test that a filter pattern stands for."""
    pattern = (pattern or "").strip()
    if not pattern:
        return lambda _message: True
    if pattern.startswith("{"):
        if not pattern.endswith("}"):
            raise _refuse()
        return _json_test(pattern[1:-1])
    if pattern.startswith("["):
        if not pattern.endswith("]"):
            raise _refuse()
        return lambda _message: True
    return _term_test(pattern)


def _term_test(pattern: str) -> Test:
    terms: dict[str, list[str]] = {"": [], "?": [], "-": []}
    position = 0
    while position < len(pattern):
        term = _TERM.match(pattern, position)
        if term is None:
            raise _refuse()
        sign, phrase, word = term.groups()
        terms[sign].append(word if phrase is None else re.sub(r"\\(.)", r"\1", phrase))
        position = term.end()

    def matches(message: str) -> bool:
        if any(term in message for term in terms["-"]):
            return False
        if terms[""]:
            # Beside terms that must be there, AWS ignores those that may be.
            return all(term in message for term in terms[""])
        return not terms["?"] or any(term in message for term in terms["?"])

    return matches


def _json_test(expression: str) -> Test:
    alternatives = [[_comparison(part) for part in side.split("&&")] for side in expression.split("||")]

    def matches(message: str) -> bool:
        try:
            document = json.loads(message)
        except ValueError:
            return False
        return any(all(test(document) for test in tests) for tests in alternatives)

    return matches


def _comparison(text: str) -> Callable[[Any], bool]:
    parts = _COMPARISON.match(text)
    if parts is None:
        raise _refuse()
    path, sign, phrase, word = parts.groups()
    wanted = word if phrase is None else phrase

    def test(document: Any) -> bool:
        for key in path.split("."):
            if not isinstance(document, dict) or key not in document:
                return False
            document = document[key]
        if sign in _ORDER:
            try:
                return _ORDER[sign](float(document), float(wanted))
            except (TypeError, ValueError):
                return False
        found = document if isinstance(document, str) else json.dumps(document)
        return fnmatch.fnmatchcase(found, wanted) is (sign == "=")

    return test


class _Pattern:
    """Stands in for moto's ``EventMessageFilter``."""

    def __init__(self, pattern: str) -> None:
        self.matches = compile_pattern(pattern)


def apply() -> None:
    """Patches FilterLogEvents."""
    replace(models, "EventMessageFilter")(_Pattern)

    @replace(LogsResponse)
    def filter_log_events(self):
        pattern = self._get_param("filterPattern")
        compile_pattern(pattern)
        backend, name = self.logs_backend, self._get_param("logGroupName")
        streams, prefix = self._get_param("logStreamNames", []), self._get_param("logStreamNamePrefix")
        if prefix:
            if streams:
                raise InvalidParameterException(msg="logStreamNames and logStreamNamePrefix exclude each other")
            if name not in backend.groups:
                raise ResourceNotFoundException()
            streams = [stream for stream in backend.groups[name].streams if stream.startswith(prefix)]
            if not streams:
                return json.dumps({"events": [], "searchedLogStreams": []})
        begin, end, limit = (self._get_param(field) for field in ("startTime", "endTime", "limit"))
        events, token, _ = backend.filter_log_events(
            name, streams, begin, end, limit, self._get_param("nextToken"), pattern, True
        )
        return json.dumps({"events": events, "nextToken": token, "searchedLogStreams": []})
