"""The virtual-machine lab of Holdfast: nodes with systemd, an iSCSI target (LIO), faults of every kind.

Use it through `Lab` (lab.py of this package); README.md beside it says how.
"""

from .agent import AgentError, CommandFailed, CommandTimeout, Result
from .lab import Lab, LabError
from .machine import Machine, MachineError, Node
from .storage import Lun, Storage

__all__ = [
    "AgentError",
    "CommandFailed",
    "CommandTimeout",
    "Lab",
    "LabError",
    "Lun",
    "Machine",
    "MachineError",
    "Node",
    "Result",
    "Storage",
]
