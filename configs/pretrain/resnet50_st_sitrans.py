# ST with random smaller inputs. Table III, 78.56 %.
_base_ = './resnet50_st.py'

default_hooks = dict(
    stimulative=dict(inputs=dict(type='mmst.RandomSmallerInput', min_ratio=0.43)))
