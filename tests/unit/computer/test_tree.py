from rynxs.computer.tree import Process, below, parse

STAT = b"7 (%b) %c 3 1 1 0 -1 4194560 1 2 3 4 5 6 7 8 20 0 %d 0 999 1000 42 1844 1 2"


def test_a_name_may_hold_anything():
    assert parse(7, STAT % (b"a) Z 1 (\xff\n", b"S", 1)) == Process(pid=7, parent=3, alive=True, rss=42)


def test_a_zombie_is_dead_unless_other_threads_run():
    assert not parse(7, STAT % (b"x", b"Z", 1)).alive
    assert parse(7, STAT % (b"x", b"Z", 2)).alive


def test_below_has_the_whole_subtree_and_parents_first():
    pairs = {1: 0, 2: 1, 3: 2, 4: 3, 5: 3, 6: 1, 7: 6}
    processes = {pid: Process(pid, parent, True, 0) for pid, parent in pairs.items()}
    assert [p.pid for p in below(2, processes)] == [3, 4, 5]
    assert [p.pid for p in below(6, processes)] == [7]
    assert below(99, processes) == []
