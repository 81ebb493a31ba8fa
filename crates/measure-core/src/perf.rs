//! Hardware and software counters over a process tree or a cgroup, or why there are none.
