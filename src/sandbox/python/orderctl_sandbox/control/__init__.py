"""The control endpoint: time, faults, limits and the log of calls, for tests. Answers only where ``--control`` asked
for it; without it none of this is in the way of a call.

Everything is below ``/orderctl/sandbox/control/``; what is sent and answered is JSON. What makes no sense is answered
with 400, 404 or 405 and ``{"error": "…"}``, which says what is allowed.

========================  =============================================================================================
``GET``                   (the bare path) the resources and their methods
``GET clock``             the sandbox's time: ``now`` in sandbox seconds, ``speed``, ``frozen``
``POST clock``            ``{"freeze": true}`` stops the time; ``{"advance": 90}`` lets 90 sandbox seconds pass
``GET calls?since=N``     the AWS calls from index N on (default 0), in the order in which they were applied; ``next``
                          is the N to ask with the next time, ``first`` the oldest index still kept (100000 are)
``DELETE calls``          empties the log; indexes begin at 0 again
``POST faults``           adds a fault, answers it with its ``id``
``GET faults``            the faults, in order, with ``matched`` and ``hits``
``DELETE faults?id=N``    removes one, or all without ``id``; calls that it holds go on
``GET held?wait=S``       the calls held now; with ``wait`` it answers as soon as there is one (``count=N``: as soon as
                          there are N), at the latest after S real seconds
``POST release``          lets held calls go on: all, or ``{"id": 3}`` those of one fault, of which ``{"count": 1}`` only the
                          longest held; ``{"drop": true}`` closes their connections instead (held before: they are
                          never applied); answered once they are in the log, as is the removal of a fault that holds
                          calls
``GET latency``           what is added to every call
``POST latency``          ``{"milliseconds": 50, "jitter": 10, "seed": 1}`` adds 40 to 60 real milliseconds before each
                          call; calls overlap in them; 0 switches off
``POST copies``           copies the process with everything in the account: the same a second time, with an ``endpoint``
                          and a ``pid`` of its own, no faults, no latency and an empty log; it ends with its original
``GET quotas``            the limits of the account
``POST quotas``           ``{"elastic-ips": 3}`` changes those named
``POST denied-actions``   ``{"actions": ["ec2:CreateVpc", "rds:*"]}`` are denied by IAM's simulation; ``[]`` allows all again
``POST blocked-requests`` ``{"rule": "RateLimitRule", "address": "203.0.113.9", "weight": 40}`` is added to the samples of that
                          rule; ``inner``, ``country``, ``method`` and ``path`` as well, where wanted
``GET consistency``       ``lag``, for how many sandbox seconds reads miss what is new
``POST consistency``      ``{"lag": 10}`` changes it and forgets what is new; 0 switches off
========================  =============================================================================================

A fault is ``{"action": …}`` with, all optional, which calls it is about, which of those it hits, and how:

===================  ==================================================================================================
``service``          the name calls are signed for: ``ec2``, ``elasticloadbalancing``, ``monitoring``, … (default: any)
``operation``        ``CreateVpc``, or a pattern as ``Create*`` (default: any)
``writes``           ``true`` only operations that change something, ``false`` only those that read (default: both)
``nth``              the first call it hits, counted over the calls it is about from now on (default 1)
``times``            how many it hits from there on, 0 for all (default 1; with ``probability`` 0)
``probability``      in place of ``nth``: hits each call with this probability, the same ones for the same ``seed``
``seed``             of the fault's own generator, which is drawn from once per matching call in order (default 0)
``seconds``          for ``delay``: real seconds
===================  ==================================================================================================

Faults are asked in the order in which they were added. A call that one has hit is not counted by those after it.

================  =====================================================================================================
``throttle``      not applied; the protocol's throttling code (``RequestLimitExceeded``, ``ThrottlingException``, …)
``error-before``  not applied; 500 ``InternalFailure`` (EC2 and S3: ``InternalError``)
``error-after``   applied; 500 in place of the answer
``drop-before``   not applied; the connection is closed without a byte of an answer
``drop-after``    applied; the connection is closed without a byte of an answer
``deny``          not applied; the protocol's access-denied code
``quote``         not applied; refused as not valid, with the whole request in the message
``delay``         waits ``seconds``, then applies and answers
``hold-before``   waits until released, then applies and answers
``hold-after``    applies, waits until released, then answers
``hold-both``     waits until released, applies, waits until released again, then answers
================  =====================================================================================================

A call in the log:

=================  ====================================================================================================
``index``          its place in the order in which calls were applied; one that was not, when that was decided
``time``, ``end``  when it came in and when its answer left, wall clock, UTC
``milliseconds``   between the two
``sandbox_time``   sandbox seconds at which it was applied or refused
``service``        the name it was signed for
``operation``      as AWS names it; ``GET /path`` where that cannot be told
``status``         HTTP status that the client was sent; ``null`` for a closed connection and while in flight
``error``          AWS's error code, or ``null``
``wrote``          whether a writing operation was applied (moto answered 2xx), even if the client never learnt of it
``fault``          id of the fault that hit it, or ``null``
``in_flight``      applied but not answered yet; ``next`` does not pass it. Calls not yet applied are not in the log
=================  ====================================================================================================

A crash test stops a client at exactly one point of the k-th writing call: ``POST faults {"writes": true, "nth": k,
"action": "hold-before"}`` (or ``hold-after``), start the client, ``GET held?wait=60``, kill it, ``POST release`` with
or without ``drop``.
"""

from .copies import Copies, leave_no_dead
from .endpoint import ControlEndpoint
from .intercept import InterceptedCalls
from .state import Control

__all__ = ["Control", "ControlEndpoint", "Copies", "InterceptedCalls", "leave_no_dead"]
