"""The categories of COCO: 80 things, and the 53 kinds of stuff of panoptic segmentation.

Names and ids are the official ones; those missing from the released data are missing here.
"""

from __future__ import annotations

from typing import Any

__all__ = ['COCO_CATEGORIES', 'PANOPTIC_CATEGORIES']

_THINGS = (
    ('person', ((1, 'person'),)),
    (
        'vehicle',
        (
            (2, 'bicycle'),
            (3, 'car'),
            (4, 'motorcycle'),
            (5, 'airplane'),
            (6, 'bus'),
            (7, 'train'),
            (8, 'truck'),
            (9, 'boat'),
        ),
    ),
    (
        'outdoor',
        (
            (10, 'traffic light'),
            (11, 'fire hydrant'),
            (13, 'stop sign'),
            (14, 'parking meter'),
            (15, 'bench'),
        ),
    ),
    (
        'animal',
        (
            (16, 'bird'),
            (17, 'cat'),
            (18, 'dog'),
            (19, 'horse'),
            (20, 'sheep'),
            (21, 'cow'),
            (22, 'elephant'),
            (23, 'bear'),
            (24, 'zebra'),
            (25, 'giraffe'),
        ),
    ),
    (
        'accessory',
        ((27, 'backpack'), (28, 'umbrella'), (31, 'handbag'), (32, 'tie'), (33, 'suitcase')),
    ),
    (
        'sports',
        (
            (34, 'frisbee'),
            (35, 'skis'),
            (36, 'snowboard'),
            (37, 'sports ball'),
            (38, 'kite'),
            (39, 'baseball bat'),
            (40, 'baseball glove'),
            (41, 'skateboard'),
            (42, 'surfboard'),
            (43, 'tennis racket'),
        ),
    ),
    (
        'kitchen',
        (
            (44, 'bottle'),
            (46, 'wine glass'),
            (47, 'cup'),
            (48, 'fork'),
            (49, 'knife'),
            (50, 'spoon'),
            (51, 'bowl'),
        ),
    ),
    (
        'food',
        (
            (52, 'banana'),
            (53, 'apple'),
            (54, 'sandwich'),
            (55, 'orange'),
            (56, 'broccoli'),
            (57, 'carrot'),
            (58, 'hot dog'),
            (59, 'pizza'),
            (60, 'donut'),
            (61, 'cake'),
        ),
    ),
    (
        'furniture',
        (
            (62, 'chair'),
            (63, 'couch'),
            (64, 'potted plant'),
            (65, 'bed'),
            (67, 'dining table'),
            (70, 'toilet'),
        ),
    ),
    (
        'electronic',
        (
            (72, 'tv'),
            (73, 'laptop'),
            (74, 'mouse'),
            (75, 'remote'),
            (76, 'keyboard'),
            (77, 'cell phone'),
        ),
    ),
    (
        'appliance',
        ((78, 'microwave'), (79, 'oven'), (80, 'toaster'), (81, 'sink'), (82, 'refrigerator')),
    ),
    (
        'indoor',
        (
            (84, 'book'),
            (85, 'clock'),
            (86, 'vase'),
            (87, 'scissors'),
            (88, 'teddy bear'),
            (89, 'hair drier'),
            (90, 'toothbrush'),
        ),
    ),
)

_STUFF = (
    (92, 'banner', 'textile'),
    (93, 'blanket', 'textile'),
    (95, 'bridge', 'building'),
    (100, 'cardboard', 'raw-material'),
    (107, 'counter', 'furniture-stuff'),
    (109, 'curtain', 'textile'),
    (112, 'door-stuff', 'furniture-stuff'),
    (118, 'floor-wood', 'floor'),
    (119, 'flower', 'plant'),
    (122, 'fruit', 'food-stuff'),
    (125, 'gravel', 'ground'),
    (128, 'house', 'building'),
    (130, 'light', 'furniture-stuff'),
    (133, 'mirror-stuff', 'furniture-stuff'),
    (138, 'net', 'structural'),
    (141, 'pillow', 'textile'),
    (144, 'platform', 'ground'),
    (145, 'playingfield', 'ground'),
    (147, 'railroad', 'ground'),
    (148, 'river', 'water'),
    (149, 'road', 'ground'),
    (151, 'roof', 'building'),
    (154, 'sand', 'ground'),
    (155, 'sea', 'water'),
    (156, 'shelf', 'furniture-stuff'),
    (159, 'snow', 'ground'),
    (161, 'stairs', 'furniture-stuff'),
    (166, 'tent', 'building'),
    (168, 'towel', 'textile'),
    (171, 'wall-brick', 'wall'),
    (175, 'wall-stone', 'wall'),
    (176, 'wall-tile', 'wall'),
    (177, 'wall-wood', 'wall'),
    (178, 'water-other', 'water'),
    (180, 'window-blind', 'window'),
    (181, 'window-other', 'window'),
    (184, 'tree-merged', 'plant'),
    (185, 'fence-merged', 'structural'),
    (186, 'ceiling-merged', 'ceiling'),
    (187, 'sky-other-merged', 'sky'),
    (188, 'cabinet-merged', 'furniture-stuff'),
    (189, 'table-merged', 'furniture-stuff'),
    (190, 'floor-other-merged', 'floor'),
    (191, 'pavement-merged', 'ground'),
    (192, 'mountain-merged', 'solid'),
    (193, 'grass-merged', 'plant'),
    (194, 'dirt-merged', 'ground'),
    (195, 'paper-merged', 'raw-material'),
    (196, 'food-other-merged', 'food-stuff'),
    (197, 'building-other-merged', 'building'),
    (198, 'rock-merged', 'solid'),
    (199, 'wall-other-merged', 'wall'),
    (200, 'rug-merged', 'textile'),
)

COCO_CATEGORIES: tuple[dict[str, Any], ...] = tuple(
    {'supercategory': supercategory, 'id': category_id, 'name': name}
    for supercategory, members in _THINGS
    for category_id, name in members
)
"""The ``categories`` list of an instances file, in COCO's order."""

PANOPTIC_CATEGORIES: tuple[dict[str, Any], ...] = tuple(
    {
        'supercategory': entry['supercategory'],
        'isthing': 1,
        'id': entry['id'],
        'name': entry['name'],
    }
    for entry in COCO_CATEGORIES
) + tuple(
    {'supercategory': supercategory, 'isthing': 0, 'id': category_id, 'name': name}
    for category_id, name, supercategory in _STUFF
)
"""The ``categories`` list of a panoptic file, in COCO's order: things, then stuff."""
