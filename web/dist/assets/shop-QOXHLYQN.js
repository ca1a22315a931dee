import"./shop.chunk-VEDFVFKX.js";import"./shop.chunk-NOV75CWV.js";
