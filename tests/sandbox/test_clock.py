"""The clock, eventual consistency and the settings by themselves, without a process."""

import sys
import unittest

from support import PACKAGE_PARENT

sys.path.insert(0, str(PACKAGE_PARENT))

from orderctl_sandbox import consistency, quotas
from orderctl_sandbox.clock import CLOCK, Clock
from orderctl_sandbox.settings import DEFAULT_QUOTAS, Settings, UnsuitableSetting, parse_quotas


class ClockCase(unittest.TestCase):
    def setUp(self):
        self.real = 1000.0
        self.happened: list[tuple[str, float]] = []

    def clock(self, speed: float) -> Clock:
        """A clock over real time that the test sets."""
        self.current = Clock(speed, real=lambda: self.real)
        return self.current

    def note(self, name: str):
        """An action that notes when, in sandbox seconds, it happened."""
        return lambda: self.happened.append((name, self.current.now()))


class RunningClockTest(ClockCase):
    def test_it_runs_faster_than_real_time(self):
        clock = self.clock(speed=60)
        self.assertEqual(0, clock.now())
        self.real += 2
        self.assertEqual(120, clock.now())

    def test_sandbox_seconds_in_real_ones(self):
        clock = self.clock(speed=60)
        self.assertEqual(2, clock.real_seconds(120))
        clock.freeze()
        self.assertEqual(120, clock.real_seconds(120))
        self.assertEqual(120, self.clock(speed=0).real_seconds(120))

    def test_what_is_due_happens_in_order_at_its_own_moment(self):
        clock = self.clock(speed=60)
        clock.after(90, self.note("third"))
        clock.after(30, self.note("first"))
        clock.after(30, self.note("second"))
        clock.run_due()
        self.assertEqual([], self.happened)
        self.real += 1
        clock.run_due()
        self.assertEqual([("first", 30), ("second", 30)], self.happened)
        self.real += 10
        clock.run_due()
        self.assertEqual(("third", 90), self.happened[-1])
        self.assertEqual(660, clock.now())

    def test_a_chain_comes_out_the_same_whoever_looks(self):
        def run(moments):
            clock = self.clock(speed=1)
            self.happened = []

            def first():
                self.note("first")()
                clock.after(10, second)

            def second():
                self.note("second")()
                clock.after(10, self.note("third"))

            start = self.real
            clock.after(10, first)
            for moment in moments:
                self.real = start + moment
                clock.run_due()
            return self.happened

        expected = [("first", 10), ("second", 20), ("third", 30)]
        self.assertEqual(expected, run([100]))
        self.assertEqual(expected, run([9, 13, 14, 27, 30, 90]))

    def test_cancelled_events_do_not_happen(self):
        clock = self.clock(speed=1)
        later = clock.after(20, self.note("later"))
        clock.after(10, later.cancel)
        gone = clock.after(5, self.note("gone"))
        gone.cancel()
        gone.cancel()
        self.real += 60
        clock.run_due()
        self.assertEqual([], self.happened)
        later.cancel()

    def test_what_was_cleared_does_not_happen(self):
        clock = self.clock(speed=1)
        clock.after(1, self.note("cleared"))
        clock.clear()
        clock.after(1, self.note("kept"))
        self.real += 2
        clock.run_due()
        self.assertEqual([("kept", 1)], self.happened)

    def test_an_event_happens_once(self):
        clock = self.clock(speed=1)
        event = clock.after(5, self.note("once"))
        self.real += 10
        clock.run_due()
        clock.run_due()
        self.assertEqual([("once", 5)], self.happened)
        event.cancel()

    def test_an_action_that_fails_leaves_the_clock_going(self):
        clock = self.clock(speed=1)

        def fail():
            raise RuntimeError("no")

        clock.after(5, fail)
        clock.after(6, self.note("next"))
        self.real += 10
        with self.assertRaises(RuntimeError):
            clock.run_due()
        self.assertEqual(10, clock.now())
        clock.run_due()
        self.assertEqual([("next", 6)], self.happened)

    def test_what_is_in_the_past_is_due_now(self):
        clock = self.clock(speed=1)
        clock.after(-5, self.note("now"))
        clock.run_due()
        self.assertEqual([("now", 0)], self.happened)


class InstantClockTest(ClockCase):
    def test_everything_is_done_by_the_next_request(self):
        clock = self.clock(speed=0)
        clock.after(10, lambda: clock.after(400, self.note("end")))
        self.assertEqual([], self.happened)
        clock.run_due()
        self.assertEqual([("end", 410)], self.happened)
        # The time it took has passed.
        self.assertEqual(410, clock.now())

    def test_real_time_does_not_pass(self):
        clock = self.clock(speed=0)
        self.real += 100
        clock.run_due()
        self.assertEqual(0, clock.now())

    def test_deadlines_never_come(self):
        clock = self.clock(speed=0)
        event = clock.deadline(10, self.note("deadline"))
        clock.after(100, self.note("end"))
        clock.run_due()
        self.assertEqual([("end", 100)], self.happened)
        event.cancel()

    def test_what_goes_round_for_ever_is_stopped_by_the_horizon(self):
        clock = self.clock(speed=0)

        def again():
            self.note("again")()
            clock.after(600, again)

        clock.after(600, again)
        clock.run_due()
        rounds = len(self.happened)
        self.assertEqual(24, rounds)
        clock.run_due()
        self.assertEqual(48, len(self.happened))
        self.assertEqual(48 * 600, clock.now())

    def test_what_is_known_to_go_round_for_ever_does_so_once_a_request(self):
        clock = self.clock(speed=0)

        def again():
            self.note("again")()
            clock.again(300, again)

        clock.after(100, again)
        clock.run_due()
        self.assertEqual([("again", 100)], self.happened)
        clock.run_due()
        self.assertEqual([("again", 100), ("again", 400)], self.happened)
        # Stopping the clock loses nothing.
        clock.freeze()
        clock.advance(700)
        self.assertEqual([("again", 700), ("again", 1000)], self.happened[2:])


class FrozenClockTest(ClockCase):
    def test_only_advance_moves_it(self):
        clock = self.clock(speed=60)
        self.real += 1
        clock.freeze()
        self.assertTrue(clock.is_frozen)
        self.real += 100
        self.assertEqual(60, clock.now())
        clock.after(30, self.note("a"))
        clock.after(31, self.note("b"))
        clock.run_due()
        self.assertEqual([], self.happened)
        clock.advance(30)
        self.assertEqual([("a", 90)], self.happened)
        self.assertEqual(90, clock.now())

    def test_advance_does_what_comes_up_on_the_way(self):
        clock = self.clock(speed=60)
        clock.freeze()
        clock.after(10, lambda: clock.after(10, self.note("inner")))
        clock.advance(15)
        self.assertEqual([], self.happened)
        clock.advance(5)
        self.assertEqual([("inner", 20)], self.happened)

    def test_deadlines_come_and_can_be_cancelled(self):
        for speed in (0, 60):
            clock = self.clock(speed)
            self.happened = []
            clock.freeze()
            clock.deadline(10, self.note("came"))
            cancelled = clock.deadline(10, self.note("cancelled"))
            clock.after(5, cancelled.cancel)
            clock.advance(20)
            self.assertEqual([("came", 10)], self.happened, speed)

    def test_an_instant_sandbox_that_is_frozen_takes_its_time(self):
        clock = self.clock(speed=0)
        clock.freeze()
        clock.after(10, self.note("end"))
        clock.run_due()
        self.assertEqual([], self.happened)
        clock.advance(10)
        self.assertEqual([("end", 10)], self.happened)


class ConsistencyTest(unittest.TestCase):
    def setUp(self):
        CLOCK.reset(60)
        CLOCK.freeze()
        consistency.configure(10)
        self.addCleanup(CLOCK.reset, 0)
        self.addCleanup(consistency.configure, 0)

    def look(self) -> bool:
        consistency.begin_request()
        return consistency.misses("vpc-1")

    def looks(self, count: int) -> list[bool]:
        return [self.look() for _ in range(count)]

    def test_a_new_thing_is_missed_then_flickers_then_stays(self):
        consistency.created("vpc-1")
        self.assertEqual([True, True, True], self.looks(3))
        CLOCK.advance(5)
        self.assertEqual([False, True, False, True], self.looks(4))
        CLOCK.advance(5)
        self.assertEqual([False, False], self.looks(2))

    def test_within_one_request_a_thing_is_there_or_is_not(self):
        consistency.created("vpc-1")
        CLOCK.advance(5)
        for expected in (False, True, False):
            consistency.begin_request()
            self.assertEqual({expected}, {consistency.misses("vpc-1") for _ in range(3)})

    def test_things_are_told_apart_by_name(self):
        consistency.created("vpc-1")
        self.assertFalse(consistency.misses("vpc-2"))

    def test_aws_itself_sees_everything(self):
        consistency.created("vpc-1")
        with consistency.from_inside():
            with consistency.from_inside():
                self.assertEqual([False], self.looks(1))
            self.assertEqual([False], self.looks(1))
        self.assertEqual([True], self.looks(1))

    def test_from_inside_ends_with_an_exception(self):
        consistency.created("vpc-1")
        with self.assertRaises(RuntimeError), consistency.from_inside():
            raise RuntimeError
        self.assertEqual([True], self.looks(1))

    def test_a_deleted_name_is_forgotten(self):
        consistency.created("vpc-1")
        consistency.forget("vpc-1")
        consistency.forget("vpc-1")
        self.assertEqual([False], self.looks(1))

    def test_without_a_lag_nothing_is_missed(self):
        consistency.created("vpc-1")
        consistency.configure(0)
        self.assertEqual([False], self.looks(1))
        consistency.created("vpc-1")
        self.assertEqual([False], self.looks(1))


class SettingsTest(unittest.TestCase):
    def refused(self, hint: str, **settings) -> None:
        """Asserts that these settings cannot be and that the message contains the hint."""
        with self.assertRaises(UnsuitableSetting) as caught:
            Settings(**settings)
        self.assertIn(hint, str(caught.exception))

    def test_defaults_suit(self):
        settings = Settings()
        self.assertEqual(
            {"speed": 75, "lag": 0, "quotas": DEFAULT_QUOTAS, "control": False},
            settings.as_json(),
        )

    def test_unsuitable_settings_say_what_is_allowed(self):
        self.refused("1000000", speed=-1)
        self.refused("1000000", speed=1_000_001)
        self.refused("1000000", speed=float("nan"))
        self.refused("600", lag=601)
        self.refused("600", lag=-1)
        self.refused("needs time", lag=10, speed=0)
        self.refused("elastic-ips", quotas={"elastic-ip": 1})
        self.refused("negative", quotas={"vpcs": -1})

    def test_limits_of_the_ranges_suit(self):
        Settings(speed=0, lag=0)
        Settings(speed=1_000_000, lag=600, quotas={**DEFAULT_QUOTAS, "vpcs": 0})

    def test_quotas_are_read_over_the_defaults(self):
        self.assertEqual(DEFAULT_QUOTAS, parse_quotas([]))
        self.assertEqual({**DEFAULT_QUOTAS, "vpcs": 2, "elastic-ips": 9}, parse_quotas(["vpcs=2", "elastic-ips=9"]))
        for text in ("vpcs", "vpcs=", "vpcs=many", "vpcs=-1"):
            with self.subTest(text), self.assertRaises(UnsuitableSetting) as caught:
                parse_quotas([text])
            self.assertIn("NAME=NUMBER", str(caught.exception))

    def test_a_quota_is_full_once_it_is_used_up(self):
        limit = quotas.QUOTAS["vpcs"]
        self.assertFalse(quotas.is_full("vpcs", limit - 1))
        self.assertTrue(quotas.is_full("vpcs", limit))


if __name__ == "__main__":
    unittest.main()
