import"./shop.chunk-3S7PI7IA.js";import"./shop.chunk-NOV75CWV.js";
