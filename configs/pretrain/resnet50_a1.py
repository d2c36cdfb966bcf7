# ST++ A1: the same with the inter-stage rule (space 3 of Table II). Tables III and V, 80.5 %.
_base_ = './resnet50_st_klminus_snet6_sitrans_vrs240_tcs200.py'

model = dict(backbone=dict(choices=(1, 2, 4, 1)))
