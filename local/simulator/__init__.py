"""A stand-in for Meta's WhatsApp Cloud API and for the customers' phones. See README.md."""

from local.simulator.business import Pace
from local.simulator.delivery import RetryPolicy
from local.simulator.simulator import Simulator
from local.simulator.timers import ManualTimers, Timers

__all__ = ["ManualTimers", "Pace", "RetryPolicy", "Simulator", "Timers"]
