"""What these tests share with tests/integration: the district, and the contract's messages."""
import os
import sys

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(os.path.dirname(HERE), 'integration'))
from district import (SERVICES, SHARD, District, Refused, Suite, command, entry,  # noqa: E402
                      types)

__all__ = ['HERE', 'SERVICES', 'SHARD', 'District', 'Refused', 'Suite', 'command', 'entry', 'types']
