"""What `init` makes of its options."""

import pytest

from edge_agent.lorawan.regions import REGIONS
from tests.rig.desk import Done
from tests.rig.edge_desk import EdgeDesk


def init(desk, region) -> Done:
    folder = desk.folder / region
    options = ("--gateway-id", "00800000a0001234", "--state", folder, "--region", region)
    desk.configuration = folder / "config.toml"
    return desk("init", *options)


@pytest.fixture
def desk(tmp_path):
    desk = EdgeDesk(tmp_path)
    yield desk
    desk.close()


@pytest.mark.parametrize("region", REGIONS)
def test_the_region_stands_in_the_configuration(desk, region):
    assert init(desk, region).status == 0
    assert desk.settings.gateway.region == region
    assert "The configuration is fine." in desk.fine("config", "check")


def test_a_region_that_there_is_not(desk):
    done = init(desk, "EU433")
    assert done.status == 64
    assert "there is no region 'EU433'" in done.err
    assert "Give one of: EU868, US915" in done.err
    assert not desk.configuration.exists()
