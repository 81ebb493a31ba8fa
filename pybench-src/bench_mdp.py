"""Markov decision process: a battle in a game."""

from pybench import benchmark

benchmark("bm_mdp")
