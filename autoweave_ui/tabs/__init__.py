"""Where the state of open pages is kept, and to whom it belongs."""

from autoweave_ui.tabs.choice import keep_tabs

__all__ = ["keep_tabs"]
