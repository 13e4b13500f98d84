"""An embedding with a map: bodies are normalised and move, looks are shares, maps stay, and what is seen acts."""

import pytest
import torch

from jepakit.nn.place_dynamics import PlaceDynamicsConfig
from jepakit.nn.placenet import SIZE, PlaceNetConfig
from jepakit.types import UserError

NET = PlaceNetConfig(image_size=20, in_channels=2, patch_size=8, width=6, body_dim=5, place_dim=4)
MAP = 5 + 9
"""Where the map begins: after the body and a look at 3 x 3 places."""


def test_a_frame_becomes_a_body_a_look_and_a_map_of_places() -> None:
    torch.manual_seed(0)
    net = NET.build()
    z = net(torch.randn(3, 2, 20, 20)).detach()
    assert z.shape == (3, 1, MAP + 9 * 4) and net.embedding_dim == MAP + 36 and net.moving_dim == MAP
    torch.testing.assert_close(z[:, 0, :5].mean(-1), torch.zeros(3), atol=1e-5, rtol=0.0)
    torch.testing.assert_close(z[:, 0, 5:MAP].sum(-1) / SIZE, torch.ones(3))
    places = z[:, 0, MAP:].unflatten(-1, (9, 4))
    torch.testing.assert_close(places.var(-1, unbiased=False), torch.ones(3, 9), atol=2e-2, rtol=0.0)
    assert torch.equal(net.norm(z)[..., 5:], z[..., 5:])
    with pytest.raises(UserError, match="whole frames"):
        net(torch.randn(3, 2, 20, 20), torch.zeros(3, 1, dtype=torch.long))


def test_the_look_goes_to_what_is_drawn_in_a_rare_colour() -> None:
    x = torch.full((1, 2, 20, 20), -0.1)
    x[:, 0, 9:12, 9:12] = 12.0  # nine pixels of the place in the middle
    x[:, 1, :, 2] = 3.0  # a wall
    look = NET.build()(x)[0, 0, 5:MAP].detach() / SIZE
    assert int(look.argmax()) == 4 and float(look[4]) > 0.5


def test_a_place_of_the_map_tells_what_is_around_it_and_nothing_farther() -> None:
    config = PlaceNetConfig(image_size=40, in_channels=1, width=6, body_dim=5, place_dim=4)
    net, x = config.build(), torch.randn(1, 1, 40, 40)
    other = x.clone()
    other[:, :, 32:, 32:] += 1.0  # the last place of 5 x 5
    change = (net(other) - net(x))[0, 0, 5 + 25 :].unflatten(-1, (5, 5, 4)).abs().amax(-1) > 0
    assert change[3:, 3:].all() and change.sum() == 4


def test_a_body_steps_by_what_the_map_holds_where_it_looks() -> None:
    torch.manual_seed(0)
    norm = NET.build().norm
    model = PlaceDynamicsConfig(body_dim=5, place_dim=4, hidden_dim=7, depth=1).build(MAP + 36, 3, norm)
    model.requires_grad_(False)
    action, places = torch.randn(6, 3), torch.randn(6, 9, 4)
    shares = torch.randn(6, 9).softmax(-1)
    z = torch.cat((norm.requires_grad_(False)(torch.randn(6, 5)), SIZE * shares, places.flatten(1)), dim=1)
    seen = torch.einsum("bp,bpc->bc", shares, places)
    hidden = torch.relu(model.state(torch.cat((z[:, :MAP], seen), dim=1)) + model.action(action))
    ahead = model(z, action)
    torch.testing.assert_close(ahead[:, :5], norm(z[:, :5] + model.step(hidden)))
    torch.testing.assert_close(ahead[:, 5:MAP] / SIZE, model.look(hidden).softmax(-1))
    assert torch.equal(ahead[:, MAP:], z[:, MAP:])


def test_what_is_not_looked_at_does_not_act() -> None:
    torch.manual_seed(0)
    config = PlaceDynamicsConfig(body_dim=5, place_dim=4, hidden_dim=7, depth=1)
    model = config.build(5 + 9 + 36, 3, torch.nn.Identity()).requires_grad_(False)
    z, action = torch.randn(1, 50), torch.randn(1, 3)
    z[:, 5:14] = SIZE * torch.eye(9)[4]  # looks at the place in the middle alone
    for place in range(9):
        other = z.clone()
        other[:, 14 + 4 * place] += 1.0
        is_same = torch.equal(model(other, action)[:, :14], model(z, action)[:, :14])
        assert is_same == (place != 4)


def test_sizes_that_make_no_sense_are_refused() -> None:
    with pytest.raises(UserError, match="positive"):
        PlaceNetConfig(body_dim=0)
    with pytest.raises(UserError, match="positive"):
        PlaceDynamicsConfig(place_dim=0)
    with pytest.raises(UserError, match="no body of 64 with a look at places of 8"):
        PlaceDynamicsConfig().build(70, 2, torch.nn.Identity())
