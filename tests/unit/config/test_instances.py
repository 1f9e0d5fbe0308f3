from __future__ import annotations

from modelyard.config.instances import INSTANCES, SHORT_NAMES, find_instance, suggest_instances
from modelyard.config.quantities import parse_cpu_millis, parse_memory_bytes


def test_every_instance_says_amounts_that_can_be_read_and_that_it_has():
    for one in INSTANCES.values():
        assert parse_cpu_millis(str(one.cpus)) == one.cpus * 1000
        assert 0 < parse_memory_bytes(one.cpu_memory) < one.memory_mib * 2**20
        assert bool(one.gpus) == bool(one.gpu) == bool(one.accelerator_memory)


def test_short_names_lead_to_machines_with_one_gpu_or_none():
    assert {name: INSTANCES[target].gpus for name, target in SHORT_NAMES.items()} == {
        name: 0 if name == "cpu" else 1 for name in SHORT_NAMES
    }


def test_memory_that_is_not_whole_gibibytes_is_said_in_mebibytes():
    one = find_instance("n1-standard-2")
    assert one
    assert (one.cpus, one.cpu_memory) == (2, "6720Mi")


def test_near_names_come_first():
    assert suggest_instances("g5xlarge")[0] == "g5.xlarge"
    assert suggest_instances("something else") == []
