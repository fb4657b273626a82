// The divider between two pictures of the same detail. The pictures are those that the page shows without this script.
"use strict";

function element(tag, text) {
  const made = document.createElement(tag);
  made.textContent = text;
  return made;
}

for (const compare of document.querySelectorAll(".compare")) {
  const find = (selector) => compare.querySelector(selector);
  const [left, right] = compare.querySelectorAll("select");
  const [below, above] = compare.querySelectorAll(".stage img");
  const range = find("input[type=range]");
  const gain = find(".gain");
  const canvas = find("canvas");

  const name = (select) => select.selectedOptions[0].textContent;
  const picture = (select) => document.getElementById(select.selectedOptions[0].dataset.picture);

  function describe(select, side) {
    const { psnr, ssim, seconds, speedup } = select.selectedOptions[0].dataset;
    const lines = [psnr, ssim, seconds, speedup].filter(Boolean).map((text) => element("span", text));
    find(`.${side}`).replaceChildren(element("b", name(select)), ...lines);
  }

  function move() {
    compare.style.setProperty("--at", `${range.value}%`);
    range.setAttribute("aria-valuetext", `${name(left)} to ${Math.round(range.value)}%, then ${name(right)}`);
  }

  // |left - right| of each colour, times the gain, on black: it is the same by day and by night.
  function difference() {
    const times = Number(gain.value);
    compare.classList.toggle("differs", times > 0);
    if (!times || !below.naturalWidth || !above.naturalWidth) return;
    const { naturalWidth: width, naturalHeight: height } = below;
    const pixels = [below, above].map((image) => {
      const context = new OffscreenCanvas(width, height).getContext("2d");
      context.drawImage(image, 0, 0);
      return context.getImageData(0, 0, width, height);
    });
    const [a, b] = pixels.map((image) => image.data);
    for (let i = 0; i < a.length; i += 1) a[i] = i % 4 === 3 ? 255 : times * Math.abs(a[i] - b[i]);
    canvas.width = width;
    canvas.height = height;
    canvas.getContext("2d").putImageData(pixels[0], 0, 0);
  }

  async function show() {
    below.src = picture(left).src;
    above.src = picture(right).src;
    describe(left, "left");
    describe(right, "right");
    move();
    await Promise.all([below.decode(), above.decode()]);
    difference();
  }

  range.addEventListener("input", move);
  gain.addEventListener("change", difference);
  for (const select of [left, right]) select.addEventListener("change", show);
  compare.hidden = false;
  compare.nextElementSibling.hidden = true; // the pictures that are there without this script
  show();

  // A point of a figure puts its picture on the right.
  function choose(point) {
    right.value = point.dataset.picture;
    show();
    compare.scrollIntoView({ behavior: "smooth", block: "nearest" });
  }
  for (const point of document.querySelectorAll(`[data-of="${compare.id.replace(/-compare$/, "")}"]`)) {
    point.addEventListener("click", () => choose(point));
    point.addEventListener("keydown", (event) => {
      if (event.key !== "Enter" && event.key !== " ") return;
      event.preventDefault();
      choose(point);
    });
  }
}
