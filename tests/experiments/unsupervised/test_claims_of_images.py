"""Claims that are judged by the same test images, whatever the number of seeds."""

import pytest

from depthbench.research.report import published
from depthbench.research.study import claims
from depthbench.research.study.studies import studies

JUDGED_BY_IMAGES = ("autoencoder_pca", "clusters", "energy_models")


@pytest.mark.parametrize("name", JUDGED_BY_IMAGES)
def test_every_point_has_the_error_of_its_test_images(name):
    rows = published.made(name).rows
    for claim in studies()[name].claims:
        points = claims.judge(claim, rows).points
        assert points, claim.key
        without = [point.label for point in points if not point.estimate.fixed > 0]
        assert not without, (claim.key, without)
