"""Synthetic pedestrians: drawn people, cameras and occluders with exact truth, by seed. No torch.

====================  =================================================================================
``generator.py``      :func:`draw`, one picture: backdrop, person, occluder, then the camera
``dataset.py``        :func:`write_dataset`, a folder of them with a manifest; ``png.py`` fixes its bytes
``identity.py``       who is drawn: build, skin, hair, clothes, bag, hat; near-identical twins
``gait.py``           a walking skeleton; ``sight.py`` sees it from any side
``figure.py``         the body on it; ``head.py``, ``torso.py``, ``limbs.py``, ``bag.py``, ``outfit.py`` and
                      ``cloth.py`` are its parts, ``canvas.py`` lays them over each other with the label map
``clock.py``          when somebody passes a camera
``backdrop.py``       where a camera hangs; ``texture.py`` has bricks, planks, leaves and grain
``occluder.py``       what stands between; ``occluders/`` has a file for each kind
``camera.py``         views, tilt, colour cast, brightness, blur, noise
``dice.py``           where every random choice comes from
``contact_sheet.py``  one picture that shows it all
``benchmark.py``      ``python -m training.data.synthetic.benchmark`` prints pictures/s
====================  =================================================================================
"""

from training.data.synthetic.dataset import Drawn, Plan, read_manifest, read_pictures, write_dataset
from training.data.synthetic.generator import SyntheticPicture, draw

__all__ = ["Drawn", "Plan", "SyntheticPicture", "draw", "read_manifest", "read_pictures", "write_dataset"]
