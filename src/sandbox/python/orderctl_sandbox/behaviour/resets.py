"""``POST /moto-api/reset``: an empty account, to which nothing is on its way any more.

What was due is dropped; what was too new to be seen, or still listed (section 1 rule 6), is forgotten, and so is what the
control endpoint has said of permissions and blocked requests; the time, the limits and the lag stay as they are.
"""

from moto.moto_api._internal.models import MotoAPIBackend

from .. import answers, consistency
from ..clock import CLOCK
from ..patches.patching import wrap
from . import tagging


def apply() -> None:
    """Resets what is kept outside of moto's backends together with them."""

    @wrap(MotoAPIBackend, "reset")
    def with_agenda(original, self):
        original(self)
        CLOCK.clear()
        consistency.configure(consistency.lag())
        tagging.forget()
        answers.forget()
