# ST with KL-, six subnets and random smaller inputs. Table III, 79.83 %.
_base_ = './resnet50_st_klminus_snet6.py'

default_hooks = dict(
    stimulative=dict(inputs=dict(type='mmst.RandomSmallerInput', min_ratio=0.43)))
