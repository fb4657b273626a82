import numpy as np
import pytest

from lowrank_sr.training import adam


@pytest.mark.slow
def test_steps_equal_pytorch():
    torch = pytest.importorskip("torch")
    rng = np.random.default_rng(0)
    weights = rng.standard_normal(50, dtype=np.float32)
    theirs = torch.nn.Parameter(torch.from_numpy(weights.copy()))
    optimiser = torch.optim.Adam([theirs], betas=(adam.BETA1, adam.BETA2), eps=adam.EPSILON)
    state = adam.start(weights)
    for step in range(20):
        gradient = rng.standard_normal(50, dtype=np.float32) * np.float32(0.1 if step % 2 else 1)
        rate = 0.01 * adam.schedule(step / 20)
        state = adam.step(state, gradient, rate)
        theirs.grad = torch.from_numpy(gradient.copy())
        torch.nn.utils.clip_grad_norm_([theirs], adam.CLIP)
        optimiser.param_groups[0]["lr"] = rate
        optimiser.step()
    # 20 steps of 0.01, each to a few eps; PyTorch adds 1e-6 to the norm that it clips by, of 7
    np.testing.assert_allclose(state.weights, theirs.detach().numpy(), rtol=0, atol=2e-5)


def test_a_step_leaves_the_state_before_it_as_it_was():
    before = adam.start(np.ones(3, np.float32))
    after = adam.step(before, np.ones(3, np.float32), 0.1)
    assert (before.weights == 1).all()
    assert not before.mean.any()
    assert (after.weights < 1).all()
    assert after.steps == 1


def test_the_average_forgets_the_start():
    state = adam.start(np.full(1, 100, np.float32))
    state = state._replace(weights=np.zeros(1, np.float32))
    for _ in range(200):
        state = adam.step(state, np.zeros(1, np.float32), 1.0)
    # the product of (1 + t) / (10 + t) over t = 1 ... 200: 9 factors remain above, 9 below
    remaining = 100 * np.prod([(1 + t) / (10 + t) for t in range(1, 201)])
    assert state.average[0] == pytest.approx(remaining, rel=1e-4)


def test_the_rate_rises_and_falls_to_zero():
    assert adam.schedule(0) == pytest.approx(0.1)
    assert adam.schedule(adam.WARM_UP) > 0.99
    assert adam.schedule(0.5) == pytest.approx(0.5)
    assert adam.schedule(1) == adam.schedule(1.1) == 0
