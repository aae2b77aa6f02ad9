"""dbt 1.11 without work of its own that nobody reads: a tenth of a small build's seconds.

Each step says what it leaves out and when it can go. None changes what a build makes; a test
compares them with dbt's own.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from typing import Any


@contextmanager
def lean_dbt() -> Iterator[None]:
    """Within it this process's dbt tells warnings and errors only, and prepares nodes faster."""
    import dbt.clients.jinja
    from dbt.context.manifest import ManifestContext
    from dbt_common.events.base_types import BaseEvent
    from dbt_common.events.event_manager import EventManager

    with ExitStack() as stack:
        for owner, name, leaner in (
            (EventManager, "fire_event", _fire_if_heard(EventManager.fire_event)),
            (BaseEvent, "__init__", _make_if_heard(BaseEvent.__init__)),
            (dbt.clients.jinja, "get_rendered", _render_if_jinja(dbt.clients.jinja.get_rendered)),
            (ManifestContext, "to_dict", _with_macros_at_once(ManifestContext.to_dict)),
        ):
            stack.callback(setattr, owner, name, getattr(owner, name))
            setattr(owner, name, leaner)
        yield


def _fire_if_heard(fire: Any) -> Any:
    """Dbt writes out each of thousands of debug events, then finds that no log takes them. Can go
    when it asks first.
    """
    from dbt_common.events.base_types import EventLevel

    def fire_if_heard(self: Any, e: Any, level: Any = None, *rest: Any, **options: Any) -> None:
        if (level or e.level_tag()) in (EventLevel.WARN, EventLevel.ERROR):
            fire(self, e, level, *rest, **options)

    return fire_if_heard


def _make_if_heard(make: Any) -> Any:
    """The same events' messages, which are of no use once they are not fired."""
    from dbt_common.events.base_types import DebugLevel

    def make_if_heard(self: Any, *args: Any, **values: Any) -> None:
        if not isinstance(self, DebugLevel):
            make(self, *args, **values)

    return make_if_heard


def _render_if_jinja(render: Any) -> Any:
    """Every text among a test's arguments is compiled as a template, for its type; one without
    Jinja is itself, but for a last line's end. Can go when dbt looks first.
    """
    from dbt.clients.jinja import _HAS_RENDER_CHARS_PAT

    def render_if_jinja(
        string: Any, ctx: Any, node: Any = None, capture_macros: bool = False, native: bool = False
    ) -> Any:
        if native and isinstance(string, str) and not _HAS_RENDER_CHARS_PAT.search(string):
            return string.removesuffix("\n")
        return render(string, ctx, node, capture_macros, native)

    return render_if_jinja


def _with_macros_at_once(to_dict: Any) -> Any:
    """Twice for each node, dbt looks up one after the other in which package each of its hundreds
    of macros is found first. Can go when the packages are taken over as they are.
    """
    from dbt.context.configured import ConfiguredContext
    from dbt.context.macros import MacroNamespace

    def with_macros_at_once(self: Any) -> Any:
        if not isinstance(self.namespace, MacroNamespace):
            return to_dict(self)
        context = ConfiguredContext.to_dict(self)
        for members in reversed(list(self.namespace._search_order())):
            context.update(members)
        return context

    return with_macros_at_once
