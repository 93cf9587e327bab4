window.MathJax = {
  tex: { inlineMath: [["\\(", "\\)"]], displayMath: [["\\[", "\\]"]] },
  options: { ignoreHtmlClass: ".*|", processHtmlClass: "arithmatex" },
};
if (typeof document$ !== "undefined") {
  document$.subscribe(() => {
    MathJax.startup?.output?.clearCache?.();
    MathJax.typesetClear?.();
    MathJax.texReset?.();
    MathJax.typesetPromise?.();
  });
}
