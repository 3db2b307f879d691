"""A few of the attacks of ``tests/attack/runs``, with commands and a model on loopback."""

import pytest

import run_attacks

pytestmark = pytest.mark.process


@pytest.fixture(scope="module")
def model():
    with run_attacks.Server(delay=0.05) as server:
        yield server


def test_of_two_commands_on_one_run_one_is_refused_and_nothing_is_asked_twice(tmp_path, model):
    codes, outputs, asked = run_attacks.two_at_once(tmp_path, model)
    assert run_attacks.two_were_survived(codes, outputs, asked, alone=16), "\n".join(outputs)


def test_a_killed_command_is_given_again_and_asks_only_what_is_missing(tmp_path, model):
    right, output = run_attacks.killed(tmp_path, model, 1.5, clusters=4)
    assert right, output


@pytest.mark.parametrize("size", [6_000])
def test_without_room_the_answers_are_kept_and_counted(tmp_path, model, size):
    right, output = run_attacks.full(tmp_path, model, size, clusters=4)
    assert right, output


def test_damage_never_changes_a_label_unnoticed(tmp_path, monkeypatch):
    damage = run_attacks.Damage(tmp_path)
    survived = [damage.trial(seed) for seed in range(10)]
    assert [trial for trial in survived if not trial[0]] == []
