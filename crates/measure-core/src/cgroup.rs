//! Cgroups of either version: making, joining, reading and removing our own.
