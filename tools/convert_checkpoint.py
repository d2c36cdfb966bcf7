"""Converts a ResNet of any common layout to OpenMMLab's.

python tools/convert_checkpoint.py resnet50_a1_0-14fe96d1.pth checkpoints/
python tools/convert_checkpoint.py RELEASE checkpoints/resnet50_st.pth
python tools/convert_checkpoint.py model.safetensors checkpoints/resnet50.pth --to backbone
"""

from mmst.cli.convert_checkpoint import main

if __name__ == '__main__':
    main()
