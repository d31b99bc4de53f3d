"""From bytes to upright sRGB pixels, and crops cut from them."""
