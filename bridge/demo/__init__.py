"""The demo: sample webhooks through the real program to a local Iterable.

Everything happens on loopback and in a scratch folder that is removed afterwards.
"""

from bridge.demo.scenes import Message, Played, Report, Scene
from bridge.demo.stage import run

__all__ = ["Message", "Played", "Report", "Scene", "run"]
