/** [ratio, what it is of, colour, background, is a sign] of every text and sign that is shown, by
 * WCAG 2's formula. */
() => {
  const canvas = document.createElement("canvas");
  canvas.width = canvas.height = 1;
  const pen = canvas.getContext("2d", { willReadFrequently: true });
  const rgba = (colour) => {
    pen.clearRect(0, 0, 1, 1);
    pen.fillStyle = colour;
    pen.fillRect(0, 0, 1, 1);
    const [r, g, b, a] = pen.getImageData(0, 0, 1, 1).data;
    return [r, g, b, a / 255];
  };
  const over = ([r, g, b, a], below) => [r, g, b].map((each, n) => each * a + below[n] * (1 - a));
  const luminance = (colour) => {
    const [r, g, b] = colour.map((each) => {
      const part = each / 255;
      return part <= 0.03928 ? part / 12.92 : ((part + 0.055) / 1.055) ** 2.4;
    });
    return 0.2126 * r + 0.7152 * g + 0.0722 * b;
  };
  const ratio = (a, b) => {
    const [low, high] = [luminance(a), luminance(b)].sort((x, y) => x - y);
    return (high + 0.05) / (low + 0.05);
  };
  const backgroundOf = (node) => {
    const layers = [];
    for (let each = node; each; each = each.parentElement) layers.push(rgba(getComputedStyle(each).backgroundColor));
    return layers.reverse().reduce((below, layer) => over(layer, below), [255, 255, 255]);
  };
  const found = [];
  for (const node of document.querySelectorAll("body *")) {
    const own = [...node.childNodes].some((child) => child.nodeType === Node.TEXT_NODE && child.data.trim());
    const isSign = node.matches("svg.icon, message-ticks") && !node.closest(".avatar, .bubble-chevron, .empty-pane");
    if (!(own || isSign) || !node.checkVisibility() || node.closest(":disabled, .visually-hidden, noscript")) continue;
    const background = backgroundOf(node);
    const colour = over(rgba(getComputedStyle(node).color), background);
    const name = `${node.parentElement.className} > ${node.localName} ${node.className.baseVal ?? node.className}`;
    const css = (parts) => `rgb(${parts.map(Math.round).join(" ")})`;
    found.push([Number(ratio(colour, background).toFixed(2)), name, css(colour), css(background), !own]);
  }
  return found;
}
