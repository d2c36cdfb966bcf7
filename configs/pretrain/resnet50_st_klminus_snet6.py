# ST with KL- and six subnets. Table III, 78.53 %.
_base_ = './resnet50_st_klminus.py'

default_hooks = dict(stimulative=dict(num_subnets=6))
