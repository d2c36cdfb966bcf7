# ST++ A1: the same with the inter-stage rule, (1, 2, 4, 1) choices of depth. Tables III, V, 80.5 %.
_base_ = './resnet50_st_klminus_snet6_sitrans_vrs240_tcs200.py'

model = dict(backbone=dict(choices='space3'))
