# MobileNetV3 on CIFAR-100, common training: SGD, 500 epochs, batches of 64 (ST++ section 4.3.1).
_base_ = './mobilenetv3_cifar10_ct.py'

model = dict(head=dict(num_classes=100))
data_preprocessor = dict(
    num_classes=100, mean=[129.304, 124.070, 112.434], std=[68.170, 65.392, 70.418])
train_dataloader = dict(dataset=dict(type='CIFAR100', data_root='data/cifar100'))
val_dataloader = dict(dataset=dict(type='CIFAR100', data_root='data/cifar100'))
test_dataloader = val_dataloader
