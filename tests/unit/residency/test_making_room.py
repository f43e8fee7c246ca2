"""Who is evicted for whom, who waits, and what becomes of bytes."""

from edgeroute.domain.load import Footprint
from edgeroute.domain.target import Warmth
from edgeroute.domain.units import GIB
from edgeroute.residency.messages import ModelSpec
from edgeroute.residency.settings import Settings
from tests.unit.residency.drawn import LLAMA_3B, ORIN_GPU, SMOLLM2, card, gpu, mib
from tests.unit.residency.shell import OPTIONS, Shell, size, spec

# ---- making room --------------------------------------------------------------------------------


def test_the_least_valuable_idle_model_makes_room_and_its_bytes_are_waited_for() -> None:
    shell = Shell(spec("old", 400), spec("new", 400), spec("wanted", 400))
    shell.warm("old")
    shell.wait(300)
    shell.warm("new")
    shell.wait(10)
    lease = shell.ask("wanted")
    assert shell.stopping == {"old"}
    assert shell.warmth("old") is Warmth.DRAINING
    assert shell.starting == set(), "the bytes are not back yet"
    shell.exit("old")
    assert shell.starting == set(), "anonymous bytes come back when they are measured"
    shell.reclaim("old")
    assert shell.starting == {"wanted"}
    shell.load("wanted")
    assert lease in shell.granted
    assert "new" in shell.ready


def test_file_backed_bytes_are_back_with_the_exit() -> None:
    shell = Shell(spec("mapped", 900, file=880), spec("wanted", 900))
    shell.warm("mapped")
    shell.wait(10)
    shell.ask("wanted")
    assert size(shell.booked) == (880, 20)
    shell.exit("mapped")
    assert size(shell.booked) == (0, 900 + 20)
    assert shell.starting == {"wanted"}


def test_a_model_counts_as_used_until_its_last_lease_ends() -> None:
    shell = Shell(spec("long", 400), spec("short", 400), spec("wanted", 400))
    shell.warm("long", "short")
    long = shell.hold("long")
    shell.wait(60)
    shell.drop(shell.hold("short"))
    shell.wait(60)
    shell.drop(long)
    shell.ask("wanted")
    assert shell.stopping == {"short"}


def test_a_leased_model_is_not_evicted_however_old() -> None:
    shell = Shell(spec("leased", 600), spec("wanted", 600))
    shell.warm("leased")
    lease = shell.hold("leased")
    shell.wait(5)
    shell.ask("wanted")
    assert shell.stopping == set()
    shell.drop(lease)
    assert shell.stopping == {"leased"}
    shell.end("leased")
    assert shell.starting == {"wanted"}


def test_a_pinned_model_is_not_evicted() -> None:
    shell = Shell(spec("pinned", 300, pinned=True), spec("plain", 300), spec("wanted", 600))
    shell.warm("pinned")
    shell.wait(1000)
    shell.warm("plain")
    shell.wait(10)
    shell.ask("wanted")
    assert shell.stopping == {"plain"}


def test_a_loading_model_is_not_evicted() -> None:
    shell = Shell(spec("loading", 600), spec("wanted", 600))
    shell.ask("loading")
    shell.ask("wanted")
    shell.wait(60)
    assert shell.stopping == set()


def test_nobody_is_evicted_for_room_that_does_not_come_of_it() -> None:
    shell = Shell(spec("idle", 300), spec("leased", 600), spec("wanted", 900))
    shell.warm("idle", "leased")
    shell.hold("leased")
    shell.wait(5)
    shell.ask("wanted")
    assert shell.stopping == set()
    assert shell.ask("idle") in shell.granted


def test_a_model_that_has_just_become_warm_stays_for_its_residency() -> None:
    shell = Shell(spec("a", 600), spec("b", 600), settings=Settings(min_residency_s=2.0))
    shell.warm("a")
    shell.ask("b")
    assert shell.stopping == set()
    assert shell.wake_at == shell.now + 2.0
    shell.wait(2.0)
    assert shell.stopping == {"a"}


def test_back_to_back_handover_keeps_one_worker_per_model() -> None:
    """Evicted, asked for again before it is gone, and back in turn."""
    shell = Shell(spec("a", 600), spec("b", 600))
    shell.warm("a")
    shell.wait(5)
    first, second = shell.ask("b"), shell.ask("a")
    assert shell.stopping == {"a"}
    shell.end("a")
    assert shell.starting == {"b"}, "who came first"
    shell.load("b")
    assert first in shell.granted
    shell.wait(5)
    shell.drop(first)
    shell.end("b")
    assert shell.starting == {"a"}
    shell.load("a")
    assert second in shell.granted


def test_bytes_on_their_way_back_are_kept_for_who_came_first() -> None:
    shell = Shell(spec("a", 500), spec("first", 800), spec("second", 300))
    shell.warm("a")
    shell.wait(5)
    shell.ask("first")
    assert shell.stopping == {"a"}
    shell.ask("second")
    assert shell.starting == set(), "300 would fit, but then 800 would not"
    shell.exit("a")
    assert shell.starting == set()
    shell.reclaim("a")
    assert shell.starting == {"first"}


def test_bytes_of_a_new_victim_are_kept_for_whom_it_was_evicted() -> None:
    shell = Shell(spec("a", 500), spec("first", 800), spec("second", 300))
    shell.warm("a")
    leased = shell.hold("a")
    shell.wait(5)
    shell.ask("first"), shell.ask("first"), shell.ask("first"), shell.ask("second")
    shell.exit("second")
    shell.reclaim("second")
    shell.now += 0.5  # its back-off is over, and the next event is told before the alarm
    shell.drop(leased)
    assert shell.stopping == {"a"}
    assert shell.starting == set(), "300 would fit, but then 800 would not"


def test_a_victim_is_taken_for_one_alone() -> None:
    shell = Shell(spec("x", 600), spec("y", 400), spec("first", 500), spec("second", 500))
    shell.warm("x", "y")
    x, _ = shell.hold("x"), shell.hold("y")
    shell.wait(5)
    shell.ask("first"), shell.ask("second")
    shell.drop(x)
    assert shell.stopping == {"x"}
    shell.end("x")
    assert shell.starting == {"first"}


def test_who_fits_passes_one_that_waits_for_leases() -> None:
    shell = Shell(spec("leased", 600), spec("large", 700), spec("small", 300))
    shell.warm("leased")
    shell.hold("leased")
    shell.ask("large")
    shell.ask("small")
    assert shell.starting == {"small"}


def test_nobody_passes_one_that_has_waited_too_long() -> None:
    shell = Shell(spec("leased", 600), spec("large", 700), spec("small", 350), spec("tiny", 200))
    shell.warm("leased")
    leased = shell.hold("leased")
    shell.ask("large")
    shell.wait(Settings().max_wait_s)
    shell.ask("small")
    assert shell.starting == set(), "350 would fit, but then 700 would not when 600 are back"
    shell.ask("tiny")
    assert shell.starting == {"tiny"}, "there is room for both"
    shell.load("tiny")
    shell.drop(leased)
    shell.end("leased")
    assert shell.starting == {"large"}


def test_a_busy_model_takes_no_new_leases_once_another_has_waited_too_long() -> None:
    shell = Shell(spec("busy", 600), spec("wanted", 600))
    shell.warm("busy")
    running = shell.hold("busy")
    wanted = shell.ask("wanted")
    shell.wait(5)
    overlapping = shell.hold("busy")  # as long as these overlap, it would never be idle
    shell.drop(running)
    assert shell.wake_at == 100.0 + Settings().max_wait_s
    shell.wait(5)
    behind = shell.ask("busy")
    assert behind in shell.waiting
    shell.drop(overlapping)
    assert shell.stopping == {"busy"}
    shell.end("busy")
    shell.load("wanted")
    assert wanted in shell.granted
    shell.drop(wanted)
    shell.wait(5)
    shell.end("wanted")
    shell.load("busy")
    assert behind in shell.granted


def test_a_pinned_model_is_not_claimed_however_long_another_waits() -> None:
    shell = Shell(spec("pinned", 500, pinned=True), spec("plain", 500), spec("wanted", 400))
    shell.warm("pinned", "plain")
    shell.hold("pinned"), shell.hold("plain")
    shell.ask("wanted")
    shell.wait(10)
    assert shell.ask("pinned") in shell.granted
    assert shell.ask("plain") in shell.waiting


def test_of_the_claimed_those_that_are_idle_end_at_once() -> None:
    shell = Shell(spec("idle", 500), spec("busy", 500), spec("wanted", 900))
    shell.warm("idle", "busy")
    busy = shell.hold("busy")
    shell.ask("wanted")
    shell.wait(10)
    assert shell.stopping == {"idle"}
    shell.drop(busy)
    assert shell.stopping == {"idle", "busy"}


def test_a_claim_ends_with_the_one_who_made_it() -> None:
    shell = Shell(spec("busy", 600), spec("wanted", 600))
    shell.warm("busy")
    shell.hold("busy")
    wanted = shell.ask("wanted")
    shell.wait(10)
    behind = shell.ask("busy")
    assert behind in shell.waiting
    shell.drop(wanted)
    assert behind in shell.granted


def test_loads_that_take_as_long_come_one_after_the_other() -> None:
    shell = Shell(spec("a", 300, load_s=4.0), spec("b", 300, load_s=4.0))
    shell.ask("a"), shell.ask("b")
    assert shell.starting == {"a"}, "side by side both would take eight seconds"
    shell.load("a")
    assert shell.starting == {"b"}


def test_a_short_load_passes_a_long_one_where_more_is_gained_than_lost() -> None:
    shell = Shell(spec("long", 300, load_s=9.0), spec("short", 300, load_s=2.0))
    shell.ask("long")
    shell.wait(4)
    shell.ask("short")
    assert shell.starting == {"long", "short"}, "spared 3 s, and 2 s lost"


def test_a_short_load_passes_nobody_for_whom_many_wait() -> None:
    shell = Shell(spec("long", 300, load_s=9.0), spec("short", 300, load_s=2.0))
    shell.ask("long"), shell.ask("long")
    shell.wait(4)
    shell.ask("short")
    assert shell.starting == {"long"}, "spared 3 s, and twice 2 s lost"


def test_a_load_that_hangs_keeps_nobody_back() -> None:
    shell = Shell(spec("hangs", 300, load_s=4.0), spec("b", 300, load_s=4.0))
    shell.ask("hangs"), shell.ask("b")
    assert shell.wake_at == shell.now + 4.0
    shell.wait(4.0)
    assert shell.starting == {"hangs", "b"}


def test_nobody_is_evicted_before_the_disk_is_free() -> None:
    shell = Shell(spec("idle", 600), spec("a", 300, load_s=4.0), spec("b", 600, load_s=4.0))
    shell.warm("idle")
    shell.wait(5)
    shell.ask("a"), shell.ask("b")
    assert shell.starting == {"a"}
    assert shell.stopping == set()
    shell.load("a")
    assert shell.stopping == {"idle"}


def test_gpu_memory_is_a_domain_of_its_own() -> None:
    models = [ModelSpec(card(LLAMA_3B, name), OPTIONS, 1.0) for name in ("a", "b")]
    small = ModelSpec(card(SMOLLM2, "small"), OPTIONS, 1.0)
    shell = Shell(*models, small, budget=8000, vram=(6000,), gpus=(gpu(0, 6 * GIB),))
    shell.warm("a", "small")
    shell.wait(5)
    shell.ask("b")
    assert shell.stopping == {"a"}, "only its bytes make room on the GPU"


def test_bytes_of_a_unified_gpu_are_booked_as_ram() -> None:
    model = ModelSpec(card(LLAMA_3B, "a"), OPTIONS, 1.0)
    shell = Shell(model, budget=6000, vram=(0,), gpus=(ORIN_GPU,))
    shell.ask("a")
    assert shell.booked.ram > 4 * GIB
    assert shell.booked.gpu == (0,)
    shell.load("a", Footprint(mib(300), mib(500), (mib(3500),)))
    assert size(shell.booked) == (300, 4000)
    assert shell.booked.gpu == (0,)


# ---- memory that is not what it was thought to be -----------------------------------------------


def test_a_measured_footprint_replaces_the_prediction_now_and_next_time() -> None:
    shell = Shell(spec("a", 100))
    shell.ask("a")
    shell.load("a", Footprint(mib(10), mib(110)), load_s=2.5)
    assert size(shell.booked) == (10, 110)
    assert shell["a"].load_s == 2.5
    shell.exit("a")
    assert shell["a"].needed == mib(120)


def test_a_model_that_turns_out_larger_drives_out_idle_ones() -> None:
    shell = Shell(spec("idle", 400), spec("a", 500))
    shell.warm("idle")
    shell.ask("a")
    shell.load("a", Footprint(anon=mib(700)))
    assert shell.stopping == {"idle"}


def test_a_shrinking_budget_drives_out_idle_models_least_valuable_first() -> None:
    shell = Shell(spec("old", 200), spec("new", 200), spec("leased", 200))
    shell.warm("old")
    shell.wait(100)
    shell.warm("new", "leased")
    shell.hold("leased")
    shell.change_budget(450)
    assert shell.stopping == {"old"}
    shell.change_budget(100)
    assert shell.stopping == {"old", "new"}
    assert shell.ready == {"leased"}


def test_who_waits_is_told_when_the_budget_shrinks_below_any_hope() -> None:
    shell = Shell(spec("leased", 600), spec("wanted", 600))
    shell.warm("leased")
    shell.hold("leased")
    lease = shell.ask("wanted")
    shell.change_budget(500)
    assert shell.denied[lease].code == "too_large"


def test_a_growing_budget_lets_who_waits_in() -> None:
    shell = Shell(spec("leased", 600), spec("wanted", 600))
    shell.warm("leased")
    shell.hold("leased")
    shell.ask("wanted")
    shell.change_budget(1200)
    assert shell.starting == {"wanted"}


def test_a_budget_read_in_the_middle_of_a_load_ends_no_warm_model() -> None:
    shell = Shell(spec("idle", 400), spec("a", 500))
    shell.warm("idle")
    shell.ask("a")
    shell.change_budget(1000 - 300)  # what the worker has taken so far is missing from it
    shell.load("a")
    assert shell.stopping == set()
    shell.change_budget(1000)
    assert shell.stopping == set()
    shell.change_budget(700)
    assert shell.stopping == {"idle"}


def test_a_budget_read_in_the_middle_of_a_load_denies_nobody_for_ever() -> None:
    shell = Shell(spec("a", 500), spec("b", 900))
    shell.ask("a")
    shell.change_budget(1000 - 400)
    lease = shell.ask("b")
    assert lease in shell.waiting
    shell.exit("a")  # gives back what the reading lacks
    shell.reclaim("a")
    assert lease in shell.waiting
    shell.change_budget(1000)
    assert shell.starting == {"b"}


def test_bytes_that_are_not_reclaimed_in_time_are_lost_until_they_are() -> None:
    shell = Shell(spec("a", 700, file=100), spec("b", 300), spec("c", 800))
    shell.warm("a")
    shell.wait(20)  # no alarm of the load is left
    shell.exit("a")
    assert shell.warmth("a") is Warmth.RECLAIMING
    assert shell.wake_at == shell.now + Settings().reclaim_deadline_s
    shell.wait(Settings().reclaim_deadline_s)
    assert shell.warmth("a") is Warmth.COLD
    assert size(shell.state.lost) == size(shell["a"].booked) == (0, 600)
    assert "at most 400.0 MiB" in shell.denied[shell.ask("c")].message
    shell.warm("b")
    shell.reclaim("a")
    assert shell.state.lost == Footprint()
    assert shell.ask("c") in shell.waiting


def test_bytes_that_come_back_while_the_model_runs_again_are_credited() -> None:
    shell = Shell(spec("a", 300))
    shell.warm("a")
    shell.exit("a")
    shell.wait(Settings().reclaim_deadline_s)
    shell.warm("a")
    assert size(shell.booked) == (0, 600)
    shell.reclaim("a")
    assert size(shell.booked) == (0, 300)
