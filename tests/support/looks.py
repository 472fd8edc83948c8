"""What must hold of a page however it is shown: asked of the browser, about everything that is seen."""

from itertools import product

from tests.support.browser import Tab

SHOWN = list(product((1280, 390), (False, True)))  # widths of a desktop and of a phone, light and dark
NAMES = [f"{width}-{'dark' if dark else 'light'}" for width, dark in SHOWN]
_PHONE = 390

# Texts are compared as they are drawn: each line of a text, cut off where an element around it cuts it off.
_FAULTS = """((width, phone) => {
  const seen = element => element.checkVisibility({contentVisibilityAuto: true, visibilityProperty: true});
  const parts = colour => colour.match(/[\\d.]+/g).map(Number);
  const ground = element => {
    const box = element.closest("svg a")?.querySelector("rect");
    if (box) return getComputedStyle(box).fill;
    for (let each = element; each; each = each.parentElement) {
      const colour = getComputedStyle(each).backgroundColor;
      if ((parts(colour)[3] ?? 1) === 1) return colour;
    }
    return "rgb(255, 255, 255)";
  };
  const luminance = colour => parts(colour).slice(0, 3).map(part => part / 255)
    .map(part => part <= 0.04045 ? part / 12.92 : ((part + 0.055) / 1.055) ** 2.4)
    .reduce((sum, part, place) => sum + part * [0.2126, 0.7152, 0.0722][place], 0);
  const contrast = (one, other) => {
    const [dark, light] = [luminance(one), luminance(other)].sort((a, b) => a - b);
    return (light + 0.05) / (dark + 0.05);
  };
  const meet = (one, other) => {
    const left = Math.max(one.left, other.left), right = Math.min(one.right, other.right);
    const top = Math.max(one.top, other.top), bottom = Math.min(one.bottom, other.bottom);
    return {left, right, top, bottom, is: right - left > 1 && bottom - top > 1};
  };
  const cut = (box, element) => {
    for (let each = element; each; each = each.parentElement) {
      if (getComputedStyle(each).overflow !== "visible") box = meet(box, each.getBoundingClientRect());
    }
    return box;
  };
  const pairs = (boxes, apart) => boxes.flatMap((one, place) => boxes.slice(place + 1)
    .filter(other => apart(one, other) && meet(one.box, other.box).is)
    .map(other => `${one.name} and ${other.name} overlap`));

  const faults = [];
  if (document.documentElement.scrollWidth > width) faults.push("the page scrolls sideways");
  const lines = [];
  const texts = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  while (texts.nextNode()) {
    const text = texts.currentNode, element = text.parentElement, words = text.data.trim();
    if (!words || element.closest("script, noscript") || !seen(element)) continue;
    const range = document.createRange();
    range.selectNodeContents(text);
    for (const {left, right, top, bottom} of range.getClientRects()) {
      const third = (bottom - top) / 3;  // the letters themselves: lines may stand close
      const box = cut({left, right, top: top + third, bottom: bottom - third}, element);
      const shown = box.right - box.left > 1 && box.bottom - box.top > 1;
      if (shown) lines.push({box, text, name: `"${words.slice(0, 40)}"`});
    }
    const style = getComputedStyle(element), ink = element.closest("svg") ? style.fill : style.color;
    const ratio = contrast(ink, ground(element));
    if (ratio < 4.5) faults.push(`"${words.slice(0, 40)}" has a contrast of ${ratio.toFixed(2)}`);
  }
  faults.push(...pairs(lines, (one, other) => one.text !== other.text));
  const targets = [...document.querySelectorAll("a, button, summary, input")].filter(seen)
    .map(element => ({element, box: element.getBoundingClientRect(), name: `"${element.textContent.slice(0, 40)}"`}))
    .filter(({box}) => box.right > 0);
  faults.push(...pairs(targets, ({element: one}, {element: other}) => !one.contains(other) && !other.contains(one)));
  for (const {box, name} of phone ? targets : []) {
    if (Math.min(box.width, box.height) < 43.99) faults.push(`${name} is ${box.width} x ${box.height}`);
  }
  return {faults, lines: lines.length, targets: targets.length};
})"""


def faults(tab: Tab, width: int) -> list[str]:
    """What is wrong with the page that is shown at this width: scrolling, contrast, overlaps, what is too small to tap.

    The limits are those of WCAG 2.2: a contrast of 4.5 (1.4.3), and on a phone 44 pixels to tap on (2.5.5).
    """
    found = tab.value(f"{_FAULTS}({width}, {str(width <= _PHONE).lower()})")
    assert found["lines"] > 0, "there is nothing on the page"
    told: list[str] = found["faults"]
    return told
