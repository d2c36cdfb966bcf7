# Swin-T on ImageNet, SimMIM at 192 pixels: upstream's recipe of Swin-B, 100 epochs, 8 x 256 images.
_base_ = 'mmpretrain::simmim/simmim_swin-base-w6_8xb256-amp-coslr-100e_in1k-192px.py'

custom_imports = dict(imports=['mmst'], allow_failed_imports=False)
model = dict(backbone=dict(arch='tiny'), neck=dict(in_channels=768))
