# ViT-S/16 on ImageNet, MAE: upstream's recipe of ViT-B, 300 epochs, 8 x 512 images.
_base_ = 'mmpretrain::mae/mae_vit-base-p16_8xb512-amp-coslr-300e_in1k.py'

custom_imports = dict(imports=['mmst'], allow_failed_imports=False)
# DeiT-S; upstream's decoder for an encoder of this width.
model = dict(backbone=dict(arch='deit-small'), neck=dict(embed_dim=384))
resume = False  # upstream's configs resume by themselves; here --resume does
