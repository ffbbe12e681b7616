"""An uploader whose files are wrong at first."""

import asyncio

from edge_agent.errors import ConfigurationError
from edge_agent.sync.patient import PatientUploader
from edge_agent.sync.state import SyncState


class Working:
    def __init__(self):
        self.started = asyncio.Event()

    async def run(self):
        self.started.set()
        await asyncio.Event().wait()

    def state(self):
        return SyncState(connected=True)


def test_it_shows_the_fault_until_the_files_are_right():
    async def scenario():
        working, faults = Working(), [ConfigurationError("still wrong", hint="look")]

        def make():
            if faults:
                raise faults.pop()
            return working

        patient = PatientUploader(make, ConfigurationError("wrong", hint="see"), look_again_s=0.01)
        assert (patient.state().last_error, patient.state().hint) == ("wrong", "see")
        task = asyncio.create_task(patient.run())
        await asyncio.wait_for(working.started.wait(), 5)
        assert patient.state().connected
        task.cancel()

    asyncio.run(scenario())
