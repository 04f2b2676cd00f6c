"""The routes of the shop, by what a visitor does."""

from examples.shop.pages.cart import cart_router
from examples.shop.pages.catalogue import catalogue_router
from examples.shop.pages.checkout import checkout_router
from examples.shop.pages.login import login_router
from examples.shop.pages.pictures import pictures_router

__all__ = ["cart_router", "catalogue_router", "checkout_router", "login_router", "pictures_router"]
