import"./shop.chunk-WENHLXYQ.js";import"./shop.chunk-NOV75CWV.js";
