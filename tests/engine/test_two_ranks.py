"""Two processes with gloo train what one process would, and stay together."""

import pytest
import torch

SETTINGS = {
    'model': 'detector',
    'indices': list(range(8)),
    'batch_size': 2,
    'hook': {'num_subnets': 2},
    'max_iters': 1,
    'lr': 0.0,
    'norm_eval': True,
    'with_cp': False,
    'accumulative_counts': 1,
    'find_unused_parameters': False,
    'diff_rank_seed': False,
    'dropout': 0.0,
    'stops': False,
}


@pytest.fixture
def run(start_process, tmp_path):
    """Trains in one process per rank at the same time; returns what each saved."""

    def run(name, ranks=1, **changes):
        outs = [tmp_path / f'{name}{rank}.pth' for rank in range(ranks)]
        settings = {**SETTINGS, 'name': name, **changes}
        processes = [
            start_process('rank_worker', 'train', out, rank, ranks, settings)
            for rank, out in enumerate(outs)
        ]
        for process in processes:
            process.join(300)
            assert process.exitcode == 0
        return [torch.load(out, weights_only=True) for out in outs]

    return run


@pytest.mark.parametrize(
    ('find_unused_parameters', 'order'),
    [
        (False, 'subnets_first'),
        (True, 'main_first'),
        pytest.param(True, 'subnets_first', marks=pytest.mark.slow),
        pytest.param(False, 'main_first', marks=pytest.mark.slow),
    ],
)
def test_gradients_are_the_mean_over_the_halves(run, find_unused_parameters, order):
    hook = {'num_subnets': 2, 'order': order}
    ranks = run('rank', ranks=2, hook=hook, find_unused_parameters=find_unused_parameters)
    halves = [run(f'half{r}', indices=[r, r + 2])[0]['gradients'] for r in (0, 1)]
    assert len(ranks[0]['gradients']) > 50
    for name, gradient in ranks[0]['gradients'].items():
        assert torch.equal(gradient, ranks[1]['gradients'][name]), name
        mean = (halves[0][name] + halves[1][name]) / 2
        torch.testing.assert_close(gradient, mean, rtol=1e-5, atol=1e-6, msg=name)


@pytest.mark.parametrize(
    'changes',
    [
        {'find_unused_parameters': True},
        {'accumulative_counts': 2, 'with_cp': True},
        pytest.param({'model': 'faster_rcnn'}, marks=pytest.mark.slow),
    ],
    ids=['plain', 'accumulating', 'Faster R-CNN'],
)
def test_ranks_draw_alike_and_stay_together(run, changes):
    """Every other batch of rank 0 is without ground truth: it must not fall out of step."""
    if changes.get('model') == 'faster_rcnn':
        pytest.importorskip('mmdet')
    first, second = run(
        'rank',
        ranks=2,
        indices=[0, 1, 4, 3, 2, 5, 6, 7],
        max_iters=10,
        lr=0.01,
        norm_eval=False,
        **changes,
    )
    assert (first['objects'], second['objects']) == ([0, 0, 2, 2], [1, 2, 1, 2])
    depths = [[draw[1:] for draw in rank['draws']] for rank in (first, second)]
    assert depths[0] == depths[1]
    assert len({tuple(draw) for draw in depths[0]}) > 3
    for name, parameter in first['parameters'].items():
        assert torch.equal(parameter, second['parameters'][name]), name
        assert torch.isfinite(parameter).all(), name


def test_ranks_with_seeds_of_their_own_draw_alike(run):
    first, second = run(
        'rank', ranks=2, model='classifier', max_iters=4, lr=0.01, diff_rank_seed=True
    )
    assert (first['seed'], second['seed']) == (7, 8)
    assert first['draws'] == second['draws']
    assert len({tuple(draw) for draw in first['draws']}) == 4


@pytest.mark.parametrize('dropout', [0.0, 0.5])
def test_ranks_drop_other_features(run, dropout):
    """Both ranks see the same images, so that nothing but random masks tells them apart."""
    first, second = run(
        'rank', ranks=2, model='classifier', indices=[0, 0, 1, 1], max_iters=2, dropout=dropout
    )
    assert first['draws'] == second['draws']
    assert len(first['losses']) == 2
    for ours, theirs in zip(first['losses'], second['losses'], strict=True):
        assert (ours != theirs) == (dropout > 0)


def test_pass_that_is_not_finite_on_one_rank_is_skipped_on_both(run):
    first, second = run(
        'rank',
        ranks=2,
        model='classifier',
        hook={
            'num_subnets': 2,
            'on_nonfinite': 'skip',
            'supervision': {'type': 'SpoiledSupervision', 'rank': 1, 'at': 4},
        },
        max_iters=3,
        lr=0.01,
    )
    assert first['skipped'] == second['skipped'] == [0, 1, 1]
    assert first['draws'] == second['draws']
    for name, parameter in first['parameters'].items():
        assert torch.equal(parameter, second['parameters'][name]), name
        assert torch.isfinite(parameter).all(), name


def test_run_stops_on_both_where_one_rank_has_no_finite_loss(run):
    """Gradients are averaged: the other rank would step, and save what the step has left."""
    spoiled = {'type': 'SpoiledSupervision', 'rank': 1, 'at': 4}
    settings = {'model': 'classifier', 'max_iters': 3, 'lr': 0.01, 'stops': True}
    first, second = run(
        'rank', ranks=2, hook={'num_subnets': 2, 'supervision': spoiled}, **settings
    )
    assert 'is not on another one, in the pass of subnet 0 in iteration 1' in first['error']
    assert 'must be finite, got' in second['error'] and 'iteration 1' in second['error']
    for rank in (first, second):
        assert all(torch.isfinite(parameter).all() for parameter in rank['parameters'].values())


def test_synchronised_norm_is_that_of_one_process(run, ordered_hook):
    """Norm layers in training mode, statistics over both ranks, for main network and subnets.

    Two batches are accumulated; only with logits DDP looks for parameters that are not used.
    """
    data = {
        'model': 'classifier',
        'hook': {'num_subnets': 2, **ordered_hook},
        'max_iters': 2,
        'accumulative_counts': 2,
        'find_unused_parameters': 'supervision' in ordered_hook,
    }
    first, second = run('ranks', ranks=2, **data)
    (alone,) = run('alone', batch_size=4, **data)
    assert first['draws'] == second['draws'] == alone['draws']
    for name, gradient in first['gradients'].items():
        assert torch.equal(gradient, second['gradients'][name]), name
        error = (gradient - alone['gradients'][name]).norm() / gradient.norm()
        assert error < 1e-3, (name, error)  # single ReLUs may switch
    for name, buffer in first['buffers'].items():
        torch.testing.assert_close(buffer, alone['buffers'][name], msg=name)


def test_synchronised_norm_keeps_subnets_out_of_its_statistics(run):
    data = {'model': 'classifier', 'max_iters': 3, 'ranks': 2}
    stimulated, plain = run('stimulated', **data), run('plain', hook=None, **data)
    assert len(stimulated[0]['draws']) == 3
    for name, buffer in plain[0]['buffers'].items():
        assert torch.equal(stimulated[0]['buffers'][name], buffer), name
        assert torch.equal(stimulated[1]['buffers'][name], buffer), name
    assert plain[0]['buffers']['backbone.bn1.num_batches_tracked'] == 3

    first, second = run('training', **{**data, 'max_iters': 10}, lr=0.05)
    for name, parameter in first['parameters'].items():
        assert torch.equal(parameter, second['parameters'][name]), name
