"""The benchmarks run and print what the documentation names. Their figures are nobody's test: machines differ."""

import json
import subprocess
import sys
from pathlib import Path

import pytest
from bench.proxy import Exchange, longest_chain

ROOT = Path(__file__).parents[2]


def bench(*words: str) -> str:
    return subprocess.run(
        [sys.executable, "-m", "bench", *words], cwd=ROOT, check=True, capture_output=True, text=True
    ).stdout


def test_bench_pair_weighs_both_clients_at_the_same_calls() -> None:
    report = json.loads(bench("pair", "--rtt-ms", "1", "--repeats", "1", "--json", "--tls"))
    to_pair, whole = report["tables"].values()
    for table in (to_pair, whole):
        ours, theirs, _ = table
        assert [row["client"] for row in table] == ["klucznik", "ksef-client", "ratio"]
        assert ours["requests"] == theirs["requests"], "unlike jobs cannot be compared"
        for row in (ours, theirs):
            # Every request waits for its answer, and the first of all for a connection.
            assert 2 <= row["critical path (round trips)"] <= row["requests"] + row["handshakes"]
            assert row["wall s"] > 0
            assert row["CPU s"] > 0
    assert to_pair[0]["requests"] == 11  # the least that a pair takes
    assert whole[0]["requests"] > to_pair[0]["requests"]


def test_bench_cli_weighs_start_and_issue_beside_a_script() -> None:
    text = bench("cli", "--repeats", "1")
    rows = [
        "klucznik --help",
        "klucznik version",
        "klucznik issue, fresh home",
        "klucznik issue, used home",
        "script on ksef-client",
        "Largest imports of klucznik issue",
    ]
    for name in ["wall s", "CPU s", "wall ratio", "CPU ratio", *rows]:
        assert name in text


def test_bench_sandbox_weighs_speed_size_and_start() -> None:
    report = json.loads(bench("sandbox", "--subjects", "2", "--jobs", "32", "--repeats", "1", "--json"))
    speed, memory, calls, starts = report["tables"].values()
    kinds = [(row["job"], row["clients"], row["rate limits"]) for row in speed]
    clients = [1, 8, 32]
    assert kinds == [(job, n, "off") for job in ("sign-in", "pair") for n in clients] + [("pair", 1, "prd")]
    assert all(row["requests/s"] > 0 and row["sandbox CPU ms/job"] > 0 for row in speed)
    assert [(row["subjects"], row["certificates"]) for row in memory] == [(1, 10), (2, 20)]
    assert [row["call"] for row in calls] == ["sign-in", "pair", "limits", "query"]
    assert all(row["1"] > 0 and row["2"] > 0 for row in calls)
    assert all(row["CPU s"] > 0 for row in starts)


def test_bench_durable_weighs_pairs_with_and_without_and_what_waits() -> None:
    report = json.loads(bench("durable", "--pairs", "2", "--at-once", "2", "--json"))
    pairs, waiting = report["tables"].values()
    assert [row["how"].partition(":")[0] for row in pairs] == ["in-memory", "issue", "engine"]
    assert all(row["CPU ms/pair"] > 0 for row in pairs)
    # The least that a pair with both proofs takes, and nothing wasted on durability; without it the proof's login is
    # ended, and its tokens are taken.
    assert [row["requests/pair"] for row in pairs] == [18, 16, 16]
    assert [row["waiting issuances"] for row in waiting] == [10, 10_000, "ratio"]
    assert all(row["RSS MiB"] > 0 and row["look ms"] > 0 for row in waiting)


@pytest.mark.parametrize(
    "wrong",
    [["pair", "--repeats", "0"], ["everything"]],
)
def test_bench_refuses_what_it_does_not_know(wrong: list[str]) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "bench", *wrong], check=False, cwd=ROOT, capture_output=True, text=True
    )
    assert done.returncode == 2
    assert "usage: python -m bench" in done.stderr


def exchanges(*spans: tuple[float, float]) -> list[Exchange]:
    return [Exchange(began, ended) for began, ended in spans]


def test_the_critical_path_counts_what_waited_and_not_what_went_side_by_side() -> None:
    assert longest_chain([]) == 0
    assert longest_chain(exchanges((0, 1), (1, 2), (2, 3))) == 3
    assert longest_chain(exchanges((0, 1), (0, 1), (0.5, 1.5))) == 1
    # A long exchange beside two short ones: the two are the path.
    assert longest_chain(exchanges((0, 10), (0, 4), (5, 9), (10, 11))) == 3
